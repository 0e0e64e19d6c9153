"""Count a column of texts by value: exactly up to a number of values, then for a sample of them that windows share.

The sample is coordinated: a value is kept if its hash begins with enough zero bits, so all windows keep the same values
and sketches merge (bottom-k sampling, Cohen and Kaplan, PODC 2007).
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from components.drift.sketch.number_sketch import GROUPS
from components.evaluation.metrics.id_hashes import hash_id, hashed, sampling_bits
from components.state.jit import compiled

MOST_VALUES = 4096

Ints = NDArray[np.int64]


@dataclass
class CategorySketch:
    """Counts of a column's values; the value "" is missing, and always kept."""

    values: dict[str, int] = field(default_factory=dict)  # value to its row
    counts: NDArray[np.uint32] = field(default_factory=lambda: np.zeros((0, GROUPS), np.uint32))  # by row and group
    total: Ints = field(default_factory=lambda: np.zeros(GROUPS, np.int64))  # of all values, kept or not
    by_day: dict[int, NDArray[np.uint32]] = field(default_factory=dict)  # days since 1970 to counts by row
    day_total: dict[int, int] = field(default_factory=dict)
    bits: int = 0  # zero bits that a kept value's hash begins with

    def add(self, values: "pa.Array[Any]", groups: NDArray[np.uint8], days: NDArray[np.int32]) -> None:
        """Count values [N] of shoppers' groups [N] on days [N]."""
        if not len(values):
            return
        encoded = values.dictionary_encode("encode")
        texts = [_text(value) for value in encoded.dictionary.to_pylist()]
        first = int(days.min())
        by_group = np.zeros((len(texts), GROUPS), np.uint32)
        by_day = np.zeros((int(days.max()) - first + 1, len(texts)), np.uint32)
        _count(encoded.indices.to_numpy(zero_copy_only=False), groups, days, first, by_group, by_day)
        self._add(texts, by_group, {first + i: counts for i, counts in enumerate(by_day) if counts.any()})
        self.total += by_group.sum(axis=0, dtype=np.int64)
        for i, count in enumerate(by_day.sum(axis=1).tolist()):
            self.day_total[first + i] = self.day_total.get(first + i, 0) + count

    def merge(self, other: "CategorySketch") -> None:
        """Add another window's counts."""
        self.bits = max(self.bits, other.bits)
        self._add(list(other.values), other.counts, other.by_day)
        self.total += other.total
        for day, count in other.day_total.items():
            self.day_total[day] = self.day_total.get(day, 0) + count

    def kept(self, bits: int) -> dict[str, int]:
        """Return the present values that a sample by `bits` zero bits keeps, with their rows."""
        return {value: row for value, row in self.values.items() if value and _is_kept(value, bits)}

    def _add(self, texts: list[str], by_group: NDArray[Any], by_day: dict[int, NDArray[Any]]) -> None:
        """Add the counts of values `texts` [N]: [N, G], and [N] by day."""
        rows = np.flatnonzero([_is_kept(text, self.bits) for text in texts])
        mine = np.array([self.values.setdefault(texts[row], len(self.values)) for row in rows], np.int64)
        size = len(self.values)
        self.counts = np.pad(self.counts, ((0, size - len(self.counts)), (0, 0)))
        self.by_day = {day: np.pad(counts, (0, size - len(counts))) for day, counts in self.by_day.items()}
        np.add.at(self.counts, mine, by_group[rows].astype(np.uint32))
        for day, counts in by_day.items():
            np.add.at(self.by_day.setdefault(day, np.zeros(size, np.uint32)), mine, counts[rows].astype(np.uint32))
        if size > MOST_VALUES:
            self._sample()

    def _sample(self) -> None:
        self.bits = sampling_bits(hashed(pa.array(list(self.values), pa.string())), self.bits, most=MOST_VALUES)
        kept = {value: row for value, row in self.values.items() if _is_kept(value, self.bits)}
        rows = np.array(list(kept.values()), np.int64)
        self.values = {value: row for row, value in enumerate(kept)}
        self.counts = self.counts[rows]
        self.by_day = {day: counts[rows] for day, counts in self.by_day.items()}


@lru_cache(maxsize=1 << 18)
def _hash(value: str) -> int:
    return hash_id(value)


def _is_kept(value: str, bits: int) -> bool:
    return not bits or not value or _hash(value) >> (64 - bits) == 0


def _text(value: bytes | str | None) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value or ""


@compiled
def _count(
    codes: NDArray[np.int32],
    groups: NDArray[np.uint8],
    days: NDArray[np.int32],
    first_day: int,
    by_group: NDArray[np.uint32],
    by_day: NDArray[np.uint32],
) -> None:
    for i in range(len(codes)):
        by_group[codes[i], groups[i]] += 1
        by_day[days[i] - first_day, codes[i]] += 1
