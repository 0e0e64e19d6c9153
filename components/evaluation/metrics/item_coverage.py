"""Count how often each item reaches the top k, in bounded memory: coverage, personalisation, their standard errors.

A bootstrap is biased here: a replicate leaves out 37 % of the shoppers, so by construction fewer items reach a top k in
it. The standard errors are those of the delete-a-group jackknife over `GROUPS` groups of shoppers by hash (Kott 2001):
with v_g the value without group g and m the mean of these,

    error^2 = (G - 1) / G * sum of (v_g - m)^2

It leaves out a 32nd at a time, so that having fewer shoppers shifts all v_g alike. Whatever the
statistic, the variance is on average not understated (Efron and Stein 1981, "The jackknife estimate of variance"). That
of coverage is overstated: an item that lambda shoppers reach by expectation adds lambda exp(-lambda) and should add
exp(-lambda) (1 - exp(-lambda)), so the interval is too wide; in the shop of the tests by half. Personalisation, a mean
over pairs, has no such excess.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.evaluation.metrics.id_hashes import is_sampled, sampling_bits

MAX_PAIRS = 131_072  # of an item and a group, 5.4 MB at most for a slice and model
GROUPS = 32
_LEAST_GROUPS = 16
_SURELY = -50.0  # log(1 - p) at p = 1: finite, so that it can be subtracted from a sum again

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ItemCoverage:
    """Sums by item and group of shoppers, of all items while they fit, else of a sample by hash as in `user_sample`.

    `sums` holds for each pair of an item and a group of shoppers to whom it was shown, over their requests that showed
    it and with p the probability that it was in the top k there (1 or 0 but for ties): the sum of p, of p^2, and of
    log(1 - p).
    """

    item: NDArray[np.uint64]  # [P], hashes, ascending
    group: NDArray[np.int64]  # [P], ascending within an item
    sums: Floats  # [P, 3]
    requests: Floats  # [GROUPS]
    bits: int = 0

    @classmethod
    def from_candidates(cls, item: NDArray[np.uint64], reach: Floats, *, row: NDArray[np.intp], group: NDArray[np.int64]) -> "ItemCoverage":
        """Sum over candidates [N] with probabilities [N] to be in the top k; `row` [N] and `group` [R] assign them."""
        with np.errstate(divide="ignore"):
            missed = np.maximum(np.log1p(-reach), _SURELY)
        requests = np.bincount(group, minlength=GROUPS).astype(np.float64)
        return _fitted(item, group[row], np.stack([reach, reach**2, missed], axis=1), requests, 0)

    def __add__(self, other: "ItemCoverage") -> "ItemCoverage":
        """Add the sums of both sets of requests."""
        return _fitted(
            np.concatenate([self.item, other.item]),
            np.concatenate([self.group, other.group]),
            np.concatenate([self.sums, other.sums]),
            self.requests + other.requests,
            max(self.bits, other.bits),
        )

    @property
    def coverage(self) -> float:
        """Expected share of the shown items that are in the top k of some request; NaN without items."""
        return _coverage(self._whole()[0])

    @property
    def personalisation(self) -> float:
        """1 - the expected share of items that the top k of two requests have in common; NaN with fewer than two.

        With c the number of lists that an item is in, the overlap is sum of c (c - 1) over sum of c (n - 1): pairs of
        lists that share the item, to all pairs. All pairs of requests count alike, those of one shopper too.
        """
        sums, _ = self._whole()
        return _personalisation(sums, float(self.requests.sum()))

    def without_each_group(self) -> tuple[Floats, Floats]:
        """Compute coverage and personalisation without each group of shoppers that has a request, [G] each."""
        sums, item = self._whole()
        shown = np.bincount(item, minlength=len(sums))
        groups = np.flatnonzero(self.requests)
        values = np.empty((2, len(groups)))
        for i, group in enumerate(groups):
            of_group = self.group == group
            others, left = sums.copy(), shown.copy()
            others[item[of_group]] -= self.sums[of_group]
            left[item[of_group]] -= 1
            values[0, i] = _coverage(others[left > 0])
            values[1, i] = _personalisation(others, float(self.requests.sum() - self.requests[group]))
        return values[0], values[1]

    def _whole(self) -> tuple[Floats, NDArray[np.int64]]:
        """Sum over the groups: the sums of each item [I, 3], and the index of each pair's item [P]."""
        item = np.cumsum(np.diff(self.item, prepend=self.item[:1]) > 0, dtype=np.int64)
        start = np.flatnonzero(np.diff(item, prepend=-1))
        return (np.add.reduceat(self.sums, start, axis=0) if len(start) else np.empty((0, 3))), item


NO_ITEMS = ItemCoverage(np.empty(0, np.uint64), np.empty(0, np.int64), np.empty((0, 3)), np.zeros(GROUPS))


def user_groups(users: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Assign each shopper to a group by hash: bits from the middle, as the first ones draw the sample of shoppers."""
    groups: NDArray[np.int64] = ((users >> np.uint64(20)) % np.uint64(GROUPS)).astype(np.int64)
    return groups


def jackknife_error(without: Floats) -> float:
    """Compute the standard error from the values [G] without each group; NaN with fewer than `_LEAST_GROUPS` groups."""
    if len(without) < _LEAST_GROUPS or not np.isfinite(without).all():
        return float("nan")
    return float(np.sqrt((len(without) - 1) * np.var(without)))


def _coverage(sums: Floats) -> float:
    return float(np.mean(-np.expm1(sums[:, 2]))) if len(sums) else float("nan")


def _personalisation(sums: Floats, requests: float) -> float:
    squares = float(np.sum(sums[:, 0] ** 2 - sums[:, 1]))
    pairs = float(sums[:, 0].sum()) * (requests - 1)
    return 1.0 - squares / pairs if pairs > 0 else float("nan")


def _fitted(item: NDArray[np.uint64], group: NDArray[np.int64], sums: Floats, requests: Floats, bits: int) -> ItemCoverage:
    """Merge equal pairs, then sample the items down to `MAX_PAIRS`; a sample is the lowest hashes."""
    order = np.lexsort((group, item))
    item, group, sums = item[order], group[order], sums[order]
    first_of_key = np.ones(len(item), np.bool_)
    first_of_key[1:] = (item[1:] != item[:-1]) | (group[1:] != group[:-1])
    start = np.flatnonzero(first_of_key)
    item, group = item[start], group[start]
    summed = np.add.reduceat(sums, start, axis=0) if len(start) else np.empty((0, 3))
    bits = sampling_bits(item, bits, most=MAX_PAIRS)
    kept = is_sampled(item, bits)
    return ItemCoverage(item[kept], group[kept], summed[kept], requests, bits)
