"""From the name of a source to the products it gives for a request."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.features import Multi
from components.contract.null_words import feature_words
from components.contract.strict import closest
from serving.features.catalogue import Items
from serving.features.values import texts
from serving.neighbours.content import content_space, content_vectors
from serving.neighbours.nearest import nearest
from serving.sources.file import Alike, Listed, New, Popular, Similar, Sources
from serving.sources.standing import Standing, Watched

REMEMBERED = 10_000  # products whose neighbours are kept: they don't change while the service runs


@final
class CandidateSources:
    """The sources of a file over one catalogue.

    Args:
        sources: the file.
        dataset: the dataset file.
        items: the catalogue.
        watched: how its products stand; None where no source asks for it.
    """

    def __init__(self, sources: Sources, dataset: Dataset, items: Items, watched: Watched | None) -> None:
        self._sources, self._dataset, self._items, self._watched = sources.sources, dataset, items, watched
        alike = [source.feature for source in self._sources.values() if isinstance(source, Alike)]
        self._by_value = {name: _by_value(items, dataset, name) for name in alike}
        self._vectors = _vectors(items, dataset) if any(isinstance(source, Similar) for source in self._sources.values()) else None
        self._near = lru_cache(REMEMBERED)(self._nearest)

    def items(self, name: str, *, about: str, context: Mapping[str, Any]) -> list[str]:
        """The products of a source, each once.

        Args:
            name: of the source.
            about: what the request is about: a product's id for `similar`, a value for `category`.
            context: of the request.

        Raises:
            InputError: no such source, it has to be told something that the request doesn't, or it has no product.
        """
        if name not in self._sources:
            raise InputError(f"no source of candidates is called {name!r}; {closest(name, list(self._sources))}")
        source = self._sources[name]
        match source:
            case Listed(items=ids):
                return list(ids[: source.most])
            case Popular():
                rows = self._standing().by_popularity
            case New(below=below):
                events = self._standing().events
                fewest = np.argsort(events, kind="stable")
                rows = fewest[events[fewest] < below]
            case Alike():
                of_value = self._by_value[source.feature].get(self._value(name, source, about, context), np.zeros(0, np.int64))
                order = self._standing().by_popularity
                rows = order[np.isin(order, of_value)]
            case Similar():
                if about not in self._items:
                    raise InputError(f"source {name!r}: expected a product of the catalogue in `about`, got {about!r}; name one")
                rows = self._near(about, source.most)
        if not len(rows):
            raise InputError(f"source {name!r} has no product for this request; send `candidates`, or ask for another source")
        return [self._items.ids[row] for row in rows[: source.most].tolist()]

    def _standing(self) -> Standing:
        assert self._watched is not None
        return self._watched.now

    def _value(self, name: str, source: Alike, about: str, context: Mapping[str, Any]) -> str:
        if source.context is None:
            value = about
        else:
            feature = self._dataset.feature(source.context)
            value = texts(feature, (context.get(source.context),), words=feature_words(self._dataset, feature))[0].decode()
        if not value:
            where = "`about`" if source.context is None else f"`context.{source.context}`"
            raise InputError(f"source {name!r}: expected a value of {source.feature!r} in {where}, got none; send it")
        return value

    def _nearest(self, item: str, most: int) -> NDArray[np.int64]:
        assert self._vectors is not None
        row = int(self._items.rows([item])[0])
        found = nearest(self._vectors, self._vectors[row : row + 1], count=most + 1).rows[0]
        return np.asarray(found[found != row])


def stands(sources: Sources) -> bool:
    """Whether a source asks how products stand."""
    return any(isinstance(source, Popular | New | Alike) for source in sources.sources.values())


def _by_value(items: Items, dataset: Dataset, name: str) -> dict[str, NDArray[np.int64]]:
    feature = dataset.feature(name)
    rows: dict[str, list[int]] = {}
    for row, value in enumerate(_plain(items.columns[name][:-1])):
        for each in value.split(feature.separator) if isinstance(feature, Multi) else (value,):
            rows.setdefault(each, []).append(row)
    return {value: np.array(found, np.int64) for value, found in rows.items()}


def _vectors(items: Items, dataset: Dataset) -> NDArray[np.float32]:
    columns = {feature.name: _plain(items.columns[feature.name][:-1]) for feature in dataset.given("items", side="item")}
    return content_vectors(content_space(dataset, columns), columns)


def _plain(values: NDArray[Any]) -> Any:
    return [value.decode("utf-8", "replace") for value in values.tolist()] if values.dtype.hasobject else values
