"""How often each item reaches the first places: what coverage and personalisation need, in bounded memory."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_ITEMS = 16_384  # 0.5 MB at most for a slice and model


@dataclass(frozen=True, slots=True)
class ItemReach:
    """For a sample of the shown items, drawn by hash as in `shopper_sample`: of every item that fits, else of a uniform sample.

    `sums` holds for each item, over the requests that showed it and with p the probability that it stood among the first places there (1
    or 0 but for ties): the sum of p, of p^2, and of log(1 - p).
    """

    item: NDArray[np.uint64]  # [I], hashes, ascending
    sums: NDArray[np.float64]  # [I, 3]
    requests: int
    bits: int = 0

    @classmethod
    def of(cls, item: NDArray[np.uint64], reach: NDArray[np.float64], *, requests: int) -> "ItemReach":
        """From candidates [N] of that many requests and the probability of each to stand among the first places."""
        with np.errstate(divide="ignore"):  # -inf where it surely stands there
            missed = np.log1p(-reach)
        return _fitted(item, np.stack([reach, reach**2, missed], axis=1), requests, 0)

    def __add__(self, other: "ItemReach") -> "ItemReach":
        """Of both sets of requests."""
        return _fitted(
            np.concatenate([self.item, other.item]),
            np.concatenate([self.sums, other.sums]),
            self.requests + other.requests,
            max(self.bits, other.bits),
        )

    @property
    def coverage(self) -> float:
        """Expected share of the shown items that reach the first places of some request; NaN without items."""
        return float(np.mean(-np.expm1(self.sums[:, 2]))) if len(self.item) else float("nan")

    @property
    def personalisation(self) -> float:
        """1 - the expected share of items that the first places of two different requests have in common; NaN if there aren't two.

        With c the number of lists that an item is in, the overlap is sum of c (c - 1) over sum of c (n - 1): pairs of lists that share
        the item, to all pairs. Requests are drawn alike, so two of one shopper are compared too, as often as they meet.
        """
        lists, squares = self.sums[:, 0].sum(), float(np.sum(self.sums[:, 0] ** 2 - self.sums[:, 1]))
        pairs = lists * (self.requests - 1)
        return 1.0 - squares / pairs if pairs > 0 else float("nan")


NO_ITEMS = ItemReach(np.empty(0, np.uint64), np.empty((0, 3)), 0)


def _fitted(item: NDArray[np.uint64], sums: NDArray[np.float64], requests: int, bits: int) -> ItemReach:
    """Joins equal items, then takes as few as fit; a sample holds the lowest hashes, so it is a slice of the sorted."""
    order = np.argsort(item, kind="stable")
    item, sums = item[order], sums[order]
    start = np.flatnonzero(np.concatenate([[True], item[1:] != item[:-1]])) if len(item) else np.empty(0, np.intp)
    item = item[start]

    def kept() -> int:
        return int(np.searchsorted(item, np.uint64(2 ** (64 - bits)))) if bits else len(item)

    while kept() > MAX_ITEMS:
        bits += 1
    summed = np.add.reduceat(sums, start, axis=0) if len(start) else np.empty((0, 3))
    return ItemReach(item[: kept()], summed[: kept()], requests, bits)
