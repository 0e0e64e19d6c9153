"""Retrieve a source's products for a request."""

from collections.abc import Collection, Mapping
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from components.contract.base_model import closest
from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.values.null_words import feature_words
from serving.features.catalogue import Items
from serving.features.values import texts
from serving.sources.contents import CatalogueIndex
from serving.sources.file import Alike, Listed, New, Popular, Similar, Source, Sources
from serving.sources.popularity_ranking import Standing, Watched


@final
class CandidateSources:
    """Candidate sources of a file over one catalogue.

    Args:
        sources: the file.
        dataset: the dataset file.
        items: the catalogue.
        watched: its products by popularity; None where no source needs it.
        contents: its products by value and content; None where no source needs it.

    Attributes:
        file: as given.
    """

    def __init__(
        self, sources: Sources, dataset: Dataset, items: Items, watched: Watched[Standing] | None, contents: Watched[CatalogueIndex] | None
    ) -> None:
        self.file = sources
        self._sources, self._dataset, self._items, self._watched, self._contents = sources.sources, dataset, items, watched, contents

    @property
    def watched(self) -> list[Watched[Any]]:
        """Return what must be refreshed periodically."""
        return [each for each in (self._watched, self._contents) if each is not None]

    def items(self, name: str, *, about: str, context: Mapping[str, Any], without: Collection[str] = frozenset()) -> list[str]:
        """Return the distinct products of a source.

        Args:
            name: of the source.
            about: what the request is about: a product's id for `similar`, a value for `category`.
            context: of the request.
            without: products to leave out; the next ones fill the list.

        Raises:
            InputError: no such source, the request lacks a value that it needs, or it has no product.
        """
        if name not in self._sources:
            raise InputError(f"no source of candidates is called {name!r}; {closest(name, list(self._sources))}")
        source, most = self._sources[name], self._sources[name].most + len(without)
        if isinstance(source, Listed):
            ids = list(source.items)
        else:
            ids = [self._items.ids[row] for row in self._rows(name, source, about, context, most)[:most].tolist()]
        kept = [item for item in ids if item not in without][: source.most]
        if not kept:
            raise InputError(f"source {name!r} has no product for this request; send `candidates`, or ask for another source")
        return kept

    def _rows(self, name: str, source: Source, about: str, context: Mapping[str, Any], most: int) -> NDArray[np.int64]:
        """Return the catalogue's rows of a source's products, at least `most` where there are as many."""
        match source:
            case Popular():
                return self._popularity().by_popularity
            case New(below=below):
                events = self._popularity().events
                fewest = np.argsort(events, kind="stable")
                return fewest[events[fewest] < below]
            case Alike():
                assert self._contents is not None
                of_value = self._contents.now.with_value(source.feature, self._value(name, source, about, context))
                order = self._popularity().by_popularity
                return order[np.isin(order, of_value)]
        if about not in self._items:
            raise InputError(f"source {name!r}: expected a product of the catalogue in `about`, got {about!r}; name one")
        assert self._contents is not None
        # A power of two: few distinct counts, as results are cached by row and count.
        return self._contents.now.nearest(int(self._items.rows([about])[0]), 1 << (most - 1).bit_length())

    def _popularity(self) -> Standing:
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


def stands(sources: Sources) -> bool:
    """Return whether a source needs the popularity ranking."""
    return any(isinstance(source, Popular | New | Alike) for source in sources.sources.values())


def compares(sources: Sources) -> bool:
    """Return whether a source needs the products' values."""
    return any(isinstance(source, Alike | Similar) for source in sources.sources.values())
