"""How often each item reaches the first places: what coverage and personalisation need, in bounded memory, and how sure both are.

A bootstrap can't tell how sure: a replicate leaves out 37 % of the shoppers, so it sees fewer items reach a first place by construction.
Their standard errors are those of the delete-a-group jackknife over `GROUPS` groups of shoppers by hash (Kott 2001): with v_g the value
without group g and m the mean of these,

    error^2 = (G - 1) / G * sum of (v_g - m)^2

It leaves out a 32nd at a time, so that fewer items are seen moves all v_g alike, and drops out. Whatever the statistic, the variance is on
average not understated (Efron and Stein 1981, "The jackknife estimate of variance"). That of coverage is overstated: an item that lambda
shoppers reach by expectation adds lambda exp(-lambda) and should add exp(-lambda) (1 - exp(-lambda)), so the interval is too wide; in the
shop of the tests by half. Personalisation, a mean over pairs, has no such excess.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.evaluation.metrics.id_hashes import begins_with_zeros, fitting_bits

MAX_PAIRS = 131_072  # of an item and a group, 5.4 MB at most for a slice and model
GROUPS = 32
_LEAST_GROUPS = 16
_SURELY = -50.0  # log of the probability to miss first places that it surely has: finite, so that it can be taken off a sum again

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ItemReach:
    """For a sample of the shown items, drawn by hash as in `shopper_sample`: of every item that fits, else of a uniform sample.

    `sums` holds for each pair of an item and a group of shoppers to whom it was shown, over their requests that showed it and with p the
    probability that it stood among the first places there (1 or 0 but for ties): the sum of p, of p^2, and of log(1 - p).
    """

    item: NDArray[np.uint64]  # [P], hashes, ascending
    group: NDArray[np.int64]  # [P], ascending within an item
    sums: Floats  # [P, 3]
    requests: Floats  # [GROUPS]
    bits: int = 0

    @classmethod
    def of(cls, item: NDArray[np.uint64], reach: Floats, *, row: NDArray[np.intp], group: NDArray[np.int64]) -> "ItemReach":
        """From candidates [N], the probability of each to stand among the first places, their requests [N] and the groups of these [R]."""
        with np.errstate(divide="ignore"):
            missed = np.maximum(np.log1p(-reach), _SURELY)
        requests = np.bincount(group, minlength=GROUPS).astype(np.float64)
        return _fitted(item, group[row], np.stack([reach, reach**2, missed], axis=1), requests, 0)

    def __add__(self, other: "ItemReach") -> "ItemReach":
        """Of both sets of requests."""
        return _fitted(
            np.concatenate([self.item, other.item]),
            np.concatenate([self.group, other.group]),
            np.concatenate([self.sums, other.sums]),
            self.requests + other.requests,
            max(self.bits, other.bits),
        )

    @property
    def coverage(self) -> float:
        """Expected share of the shown items that reach the first places of some request; NaN without items."""
        return _coverage(self._whole()[0])

    @property
    def personalisation(self) -> float:
        """1 - the expected share of items that the first places of two different requests have in common; NaN if there aren't two.

        With c the number of lists that an item is in, the overlap is sum of c (c - 1) over sum of c (n - 1): pairs of lists that share
        the item, to all pairs. Requests are drawn alike, so two of one shopper are compared too, as often as they meet.
        """
        sums, _ = self._whole()
        return _personalisation(sums, float(self.requests.sum()))

    def without_each_group(self) -> tuple[Floats, Floats]:
        """Coverage and personalisation without each group of shoppers that has a request, [G] each."""
        sums, item = self._whole()
        shown = np.bincount(item, minlength=len(sums))
        groups = np.flatnonzero(self.requests)
        found = np.empty((2, len(groups)))
        for i, group in enumerate(groups):
            mine = self.group == group
            others, left = sums.copy(), shown.copy()
            others[item[mine]] -= self.sums[mine]
            left[item[mine]] -= 1
            found[0, i] = _coverage(others[left > 0])
            found[1, i] = _personalisation(others, float(self.requests.sum() - self.requests[group]))
        return found[0], found[1]

    def _whole(self) -> tuple[Floats, NDArray[np.int64]]:
        """The sums of each item over all groups [I, 3], and which item each pair is of [P]."""
        item = np.cumsum(np.diff(self.item, prepend=self.item[:1]) > 0, dtype=np.int64)
        start = np.flatnonzero(np.diff(item, prepend=-1))
        return (np.add.reduceat(self.sums, start, axis=0) if len(start) else np.empty((0, 3))), item


NO_ITEMS = ItemReach(np.empty(0, np.uint64), np.empty(0, np.int64), np.empty((0, 3)), np.zeros(GROUPS))


def shopper_groups(users: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The group of each shopper by hash: bits from the middle, as the first ones draw the sample of shoppers."""
    groups: NDArray[np.int64] = ((users >> np.uint64(20)) % np.uint64(GROUPS)).astype(np.int64)
    return groups


def jackknife_error(without: Floats) -> float:
    """The standard error from the values [G] without each group; NaN if the shoppers fill fewer than `_LEAST_GROUPS` groups."""
    if len(without) < _LEAST_GROUPS or not np.isfinite(without).all():
        return float("nan")
    return float(np.sqrt((len(without) - 1) * np.var(without)))


def _coverage(sums: Floats) -> float:
    return float(np.mean(-np.expm1(sums[:, 2]))) if len(sums) else float("nan")


def _personalisation(sums: Floats, requests: float) -> float:
    squares = float(np.sum(sums[:, 0] ** 2 - sums[:, 1]))
    pairs = float(sums[:, 0].sum()) * (requests - 1)
    return 1.0 - squares / pairs if pairs > 0 else float("nan")


def _fitted(item: NDArray[np.uint64], group: NDArray[np.int64], sums: Floats, requests: Floats, bits: int) -> ItemReach:
    """Joins equal pairs, then takes as few items as fit; a sample holds the lowest hashes, so it is a slice of the sorted."""
    order = np.lexsort((group, item))
    item, group, sums = item[order], group[order], sums[order]
    fresh = np.ones(len(item), np.bool_)
    fresh[1:] = (item[1:] != item[:-1]) | (group[1:] != group[:-1])
    start = np.flatnonzero(fresh)
    item, group = item[start], group[start]
    summed = np.add.reduceat(sums, start, axis=0) if len(start) else np.empty((0, 3))
    bits = fitting_bits(item, bits, most=MAX_PAIRS)
    kept = begins_with_zeros(item, bits)
    return ItemReach(item[kept], group[kept], summed[kept], requests, bits)
