"""Estimate standard errors of metrics by the Poisson bootstrap over shoppers.

Each of `REPLICATES` replicates counts every shopper a Poisson(1) number of times (Hanley and MacGibbon 2006; Chamandy
et al. 2012, "Estimating uncertainty for massive data streams"). The number comes from a hash of shopper and replicate:
a shopper's requests stay together wherever they lie, sums over blocks can be added in any order, two models see the
same replicates, and every run draws the same. Shoppers are drawn, as one shopper's requests are correlated.

From the replicates only their standard deviation is taken, the standard error: 200 suffice for it where percentiles
need thousands (Efron and Tibshirani 1993, section 6.4). `intervals` makes intervals of it.
"""

from dataclasses import dataclass
from math import exp, factorial

import numpy as np
from numpy.typing import NDArray

from components.evaluation.metrics.score_histogram import ScoreHistogram

REPLICATES = 200
CONFIDENCE_95 = 1.96
MAX_LEVELS = 512  # 0.8 MB at most for a slice and model

_DRAWS_A_HASH = 4  # of 16 bits each
_COUNTS = np.searchsorted(np.cumsum([exp(-1) / factorial(n) for n in range(12)]), (np.arange(2**16) + 0.5) / 2**16).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class Replicates:
    """Sums as in `RankingSums`, for each of B weightings of the shoppers; `a + b` is of both sets of requests.

    Scores are counted at `MAX_LEVELS` levels only. AUC over so few levels is off by less than a thousandth or two, and
    by nearly the same in all replicates: that moves them together, and hardly their standard deviation.
    """

    totals: NDArray[np.float64]  # [B, C]
    scores: ScoreHistogram  # counts [D, B]

    @classmethod
    def from_columns(
        cls,
        columns: NDArray[np.float64],
        *,
        scores: NDArray[np.float32],
        positive: NDArray[np.bool_],
        row: NDArray[np.int64],
        weights: NDArray[np.float32],
        counts: ScoreHistogram,
    ) -> "Replicates":
        """Sum the requests' summands [R, C] and the scores [N] with weights [R, B]; `row` [N] is a candidate's request.

        `counts` is the unweighted histogram of the scores. A block is summed in single precision, which suffices.
        """
        totals = (columns.T.astype(np.float32) @ weights).T.astype(np.float64)
        weighted = ScoreHistogram.weighted(scores, positive, row=row, weights=weights, counts=counts, max_levels=MAX_LEVELS)
        return cls(totals, weighted)

    def __add__(self, other: "Replicates") -> "Replicates":
        """Add the replicates of both sets of requests."""
        return Replicates(self.totals + other.totals, self.scores + other.scores)


def poisson_counts(users: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Return how often each replicate counts a shopper, [R, REPLICATES], by the hash of the shopper [R]."""
    distinct, which = np.unique(users, return_inverse=True)
    number = np.arange(1, REPLICATES // _DRAWS_A_HASH + 1, dtype=np.uint64)
    draws = _mixed(distinct[:, None] + number * np.uint64(0x9E3779B97F4A7C15)).astype("<u8").view("<u2")
    counts: NDArray[np.uint8] = _COUNTS[draws][which]
    return counts


def standard_error(replicates: NDArray[np.float64]) -> float:
    """Return the standard deviation over the replicates [REPLICATES] that are defined; NaN if fewer than half are."""
    defined = replicates[np.isfinite(replicates)]
    return float(np.std(defined, ddof=1)) if len(defined) > REPLICATES // 2 else float("nan")


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix the bits by the finaliser of SplitMix64 (Steele et al. 2014): each affects every bit of the result."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
