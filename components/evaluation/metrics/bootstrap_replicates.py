"""The sums of every bootstrap replicate: what standard errors are taken from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.evaluation.metrics.score_histogram import ScoreCounts

MAX_LEVELS = 512  # 0.8 MB at most for a slice and model


@dataclass(frozen=True, slots=True)
class Replicates:
    """As `sums.RankingSums`, for each of B weightings of the shoppers; `a + b` is of both sets of requests.

    Scores are counted at `MAX_LEVELS` levels only. AUC over so few levels is off by less than a thousandth or two, and by nearly the same
    in all replicates: that moves them together, and hardly their standard deviation.
    """

    totals: NDArray[np.float64]  # [B, C]
    scores: ScoreCounts  # counts [D, B]

    @classmethod
    def of(
        cls,
        columns: NDArray[np.float64],
        *,
        scores: NDArray[np.float32],
        positive: NDArray[np.bool_],
        row: NDArray[np.int64],
        weights: NDArray[np.float32],
        counts: ScoreCounts,
    ) -> "Replicates":
        """From the summands [R, C] of requests, their candidates' scores [N], positive [N] and request [N], and their weights [R, B].

        `counts` are those of the scores, unweighted. A block is summed in single precision, which is plenty for a standard error.
        """
        totals = (columns.T.astype(np.float32) @ weights).T.astype(np.float64)
        weighted = ScoreCounts.weighted(scores, positive, row=row, weights=weights, counts=counts, max_levels=MAX_LEVELS)
        return cls(totals, weighted)

    def __add__(self, other: "Replicates") -> "Replicates":
        """The replicates of both."""
        return Replicates(self.totals + other.totals, self.scores + other.scores)
