"""Summarize a window of requests in sketches that add up: hours to days, partitions to a whole."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from components.drift.sketch.category_sketch import CategorySketch
from components.drift.sketch.number_sketch import GROUPS, NumberSketch

_HOUR_US = 3_600_000_000
_DAY_US = 24 * _HOUR_US


@dataclass(frozen=True)
class ColumnValues:
    """Values [N] of a column.

    Attributes:
        name: of the column.
        values: numbers or texts.
        requests: the request in its block that each belongs to.
        items: hashes of the items that they belong to, of candidates' numbers; else None.
    """

    name: str
    values: "NDArray[np.float32] | pa.Array[Any]"
    requests: NDArray[np.int64]
    items: NDArray[np.uint64] | None = None


@dataclass(frozen=True)
class RequestBlock:
    """R requests: hashes of their shoppers [R], times [R] and columns."""

    shoppers: NDArray[np.uint64]
    times_us: NDArray[np.int64]
    columns: Sequence[ColumnValues]

    def filtered(self, kept: NDArray[np.bool_]) -> "RequestBlock":
        """Return the requests at which `kept` [R] is true."""
        rows = np.cumsum(kept) - 1
        columns = tuple(
            ColumnValues(
                column.name,
                _filtered(column.values, kept[column.requests]),
                rows[column.requests[kept[column.requests]]],
                None if column.items is None else column.items[kept[column.requests]],
            )
            for column in self.columns
        )
        return RequestBlock(self.shoppers[kept], self.times_us[kept], columns)


@dataclass
class WindowSketch:
    """Sketches of a window's columns, and when its requests came."""

    columns: dict[str, NumberSketch | CategorySketch] = field(default_factory=dict)
    requests: NDArray[np.int64] = field(default_factory=lambda: np.zeros(GROUPS, np.int64))
    hours: Counter[int] = field(default_factory=Counter)  # hours since 1970 to requests

    def add(self, block: RequestBlock) -> None:
        """Count a block of requests."""
        groups = (block.shoppers % np.uint64(GROUPS)).astype(np.uint8)
        days = (block.times_us // _DAY_US).astype(np.int32)
        self.requests += np.bincount(groups, minlength=GROUPS)
        self.hours.update(dict(zip(*(each.tolist() for each in np.unique(block.times_us // _HOUR_US, return_counts=True)), strict=True)))
        for column in block.columns:
            if isinstance(column.values, np.ndarray):
                items = None if column.items is None else (column.items % np.uint64(GROUPS)).astype(np.uint8)
                self._number(column.name).add(column.values, groups[column.requests], days[column.requests], items)
            else:
                self._category(column.name).add(column.values, groups[column.requests], days[column.requests])

    def merge(self, other: "WindowSketch") -> None:
        """Add another window."""
        self.requests += other.requests
        self.hours.update(other.hours)
        for name, sketch in other.columns.items():
            if isinstance(sketch, NumberSketch):
                self._number(name).merge(sketch)
            else:
                self._category(name).merge(sketch)

    @property
    def days(self) -> list[int]:
        """The days with requests, in days since 1970, ascending."""
        return sorted({hour // 24 for hour in self.hours})

    def _number(self, name: str) -> NumberSketch:
        sketch = self.columns.setdefault(name, NumberSketch())
        if not isinstance(sketch, NumberSketch):
            raise TypeError(f"column {name!r}: expected texts, as in the rest of the window, got numbers")
        return sketch

    def _category(self, name: str) -> CategorySketch:
        sketch = self.columns.setdefault(name, CategorySketch())
        if not isinstance(sketch, CategorySketch):
            raise TypeError(f"column {name!r}: expected numbers, as in the rest of the window, got texts")
        return sketch


def _filtered(values: "NDArray[np.float32] | pa.Array[Any]", kept: NDArray[np.bool_]) -> "NDArray[np.float32] | pa.Array[Any]":
    return values[kept] if isinstance(values, np.ndarray) else values.filter(pa.array(kept))
