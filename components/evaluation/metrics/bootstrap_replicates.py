"""Accumulate the sums of every bootstrap replicate, from which standard errors are computed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.evaluation.metrics.score_histogram import ScoreHistogram

MAX_LEVELS = 512  # 0.8 MB at most for a slice and model


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
