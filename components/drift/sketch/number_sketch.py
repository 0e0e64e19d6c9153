"""Count a column of numbers in logarithmic bins: mergeable, of fixed size, with a relative resolution of 3 %.

A bin is the sign, the exponent and the first five bits of the mantissa of a float32, as in HDR histograms and DDSketch
(Masson et al., VLDB 2019), so bins are the same in every window and sketches add up bin by bin. Magnitudes below 2^-20
count as 0, those from 2^44 on as the greatest. Counts are kept by group of shoppers, from which tests take their
variance, by day, and, of candidates' columns, by group of items: rows of an item depend on each other as those of a
shopper do.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from components.state.jit import compiled

GROUPS = 64
"""Groups of shoppers, by hash: all rows of a shopper are in one, so groups are independent and rows needn't be."""

MAGNITUDES = 2048
BINS = 2 * MAGNITUDES
"""Magnitudes of positive values, 0 the least, then those of negative ones."""

MISSING = BINS
"""Where missing values are counted, after the bins."""

_DROPPED_BITS = 18  # of a float32: 32 bins to each power of two
_LEAST = ((127 - 20) << 23 >> _DROPPED_BITS) - 1  # what 2^-20 begins with, less one: magnitude 0 is below it
_NAN_FROM = 0x7F800001

Ints = NDArray[np.int64]


@dataclass
class NumberSketch:
    """Counts of a column's values; NaN is missing. All arrays are changed in place by `add`."""

    counts: NDArray[np.uint32] = field(default_factory=lambda: np.zeros((GROUPS, BINS + 1), np.uint32))  # by group and bin
    by_day: dict[int, NDArray[np.uint32]] = field(default_factory=dict)  # days since 1970 to counts by bin
    by_items: NDArray[np.uint32] | None = None  # by group of items and bin

    def add(
        self, values: NDArray[np.float32], groups: NDArray[np.uint8], days: NDArray[np.int32], items: NDArray[np.uint8] | None = None
    ) -> None:
        """Count values [N] of shoppers' groups [N] on days [N], and of items' groups [N] where they are of candidates."""
        if not len(values):
            return
        first = int(days.min())
        counted = np.zeros((int(days.max()) - first + 1, BINS + 1), np.uint32)
        bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
        _count(bits, groups, days, first, self.counts, counted)
        if items is not None:
            self.by_items = np.zeros((GROUPS, BINS + 1), np.uint32) if self.by_items is None else self.by_items
            _count_groups(bits, items, self.by_items)
        for day, counts in enumerate(counted, first):
            if counts.any():
                self.by_day[day] = self.by_day[day] + counts if day in self.by_day else counts

    def merge(self, other: "NumberSketch") -> None:
        """Add another window's counts."""
        self.counts += other.counts
        if other.by_items is not None:
            self.by_items = other.by_items.copy() if self.by_items is None else self.by_items + other.by_items
        for day, counts in other.by_day.items():
            self.by_day[day] = self.by_day[day] + counts if day in self.by_day else counts.copy()

    def quantile(self, share: float) -> float:
        """Return the value in the middle of the bin up to which a share of the rows is; NaN where none has a value."""
        return quantile(self.counts.sum(axis=0, dtype=np.int64), share)


def quantile(counts: Ints, share: float) -> float:
    """Return the value in the middle of the bin up to which a share of counts [BINS + 1] is; NaN where none has a value."""
    below = np.cumsum(counts[_ORDER])
    return float(_VALUES[np.searchsorted(below, share * below[-1])]) if below[-1] else math.nan


def bin_values() -> NDArray[np.float64]:
    """Return the value in the middle of each bin [BINS], in the order of bins."""
    bits = (np.arange(MAGNITUDES, dtype=np.uint32) + np.uint32(_LEAST) << np.uint32(_DROPPED_BITS)) + np.uint32(1 << (_DROPPED_BITS - 1))
    magnitudes = bits.view(np.float32).astype(np.float64)
    magnitudes[0] = 0.0
    return np.concatenate([magnitudes, -magnitudes])


def ascending_bins() -> Ints:
    """Return the bins in the order of their values."""
    return np.concatenate([np.arange(BINS - 1, MAGNITUDES - 1, -1), np.arange(MAGNITUDES)])


_ORDER = ascending_bins()
_VALUES = bin_values()[_ORDER]


@compiled
def _bin(bits: int) -> int:
    size = bits & 0x7FFFFFFF
    if size >= _NAN_FROM:
        return MISSING
    magnitude = min(max((size >> _DROPPED_BITS) - _LEAST, 0), MAGNITUDES - 1)
    return magnitude + (MAGNITUDES if bits >> 31 and magnitude else 0)  # -0 is 0


@compiled
def _count(
    bits: NDArray[np.uint32],
    groups: NDArray[np.uint8],
    days: NDArray[np.int32],
    first_day: int,
    counts: NDArray[np.uint32],
    by_day: NDArray[np.uint32],
) -> None:
    for i in range(len(bits)):
        bin_ = _bin(bits[i])
        counts[groups[i], bin_] += 1
        by_day[days[i] - first_day, bin_] += 1


@compiled
def _count_groups(bits: NDArray[np.uint32], groups: NDArray[np.uint8], counts: NDArray[np.uint32]) -> None:
    for i in range(len(bits)):
        counts[groups[i], _bin(bits[i])] += 1
