"""Index the catalogue's products by value and by content, at a moment."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from components.contract.dataset import Dataset
from components.contract.features import Multi
from serving.features.catalogue import Items
from serving.neighbours.content import content_space, content_vectors
from serving.neighbours.nearest import nearest
from serving.sources.file import Alike, Similar, Sources

REMEMBERED = 10_000  # products whose neighbours are cached, until the values change


@final
class CatalogueIndex:
    """Index of N products, by their rows.

    Args:
        sources: the sources file; only what its sources need is built.
        dataset: the dataset file.
        columns: feature to the products' N values.
    """

    def __init__(self, sources: Sources, dataset: Dataset, columns: dict[str, NDArray[Any]]) -> None:
        alike = [source.feature for source in sources.sources.values() if isinstance(source, Alike)]
        similar = any(isinstance(source, Similar) for source in sources.sources.values())
        self._by_value = {name: _by_value(columns[name], dataset, name) for name in alike}
        self._vectors = _vectors(columns, dataset) if similar else None
        self.nearest = lru_cache(REMEMBERED)(self._nearest)

    def with_value(self, feature: str, value: str) -> NDArray[np.int64]:
        """Return the rows of the products that have a value, or have it among others."""
        return self._by_value[feature].get(value, np.zeros(0, np.int64))

    def _nearest(self, row: int, most: int) -> NDArray[np.int64]:
        """Return the rows of at most `most` nearest products of the one in `row`, without it, the nearest first."""
        assert self._vectors is not None
        rows = nearest(self._vectors, self._vectors[row : row + 1], count=most + 1).rows[0]
        return np.asarray(rows[rows != row])


def contents_at(sources: Sources, dataset: Dataset, items: Items) -> Callable[[int], CatalogueIndex]:
    """Return a function from a moment to the index at that time, which is rebuilt only where the values change."""
    made: dict[int, CatalogueIndex] = {}

    def at(time_us: int) -> CatalogueIndex:
        period = items.period(time_us)
        if period not in made:
            contents = CatalogueIndex(sources, dataset, items.values(time_us))
            made.clear()
            made[period] = contents
        return made[period]

    return at


def _by_value(column: NDArray[Any], dataset: Dataset, name: str) -> dict[str, NDArray[np.int64]]:
    feature = dataset.feature(name)
    rows: dict[str, list[int]] = {}
    for row, value in enumerate(_plain(column)):
        for each in value.split(feature.separator) if isinstance(feature, Multi) else (value,):
            rows.setdefault(each, []).append(row)
    return {value: np.array(members, np.int64) for value, members in rows.items()}


def _vectors(columns: dict[str, NDArray[Any]], dataset: Dataset) -> NDArray[np.float32]:
    values = {feature.name: _plain(columns[feature.name]) for feature in dataset.input_features("items", side="item")}
    return content_vectors(content_space(dataset, values), values)


def _plain(values: NDArray[Any]) -> Any:
    return [value.decode("utf-8", "replace") for value in values.tolist()] if values.dtype.hasobject else values
