"""The sums over all requests in one call."""

import numpy as np
from numpy.typing import NDArray

from components.evaluation.metrics.metric_accumulator import RankingSums, Requests, request_sums


def sums(
    labels: NDArray[np.float32],
    scores: NDArray[np.float32],
    *,
    gains: NDArray[np.float32],
    row_lengths: NDArray[np.int64],
    users: NDArray[np.uint64] | None = None,
    items: NDArray[np.uint64] | None = None,
) -> RankingSums:
    """Sum over all requests; arguments as in `Requests`."""
    return request_sums(Requests(labels, scores, gains, row_lengths, users, items)).total()
