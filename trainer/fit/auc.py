"""Compute the exact AUC over all candidates, for early stopping."""

import numpy as np
from numpy.typing import ArrayLike


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the share of (positive, negative) pairs with the positive higher, ties one half; NaN without both classes.

    By ranks (Mann-Whitney): (sum of the positives' ranks - P (P + 1) / 2) / (P N), tied scores sharing their mean rank.
    """
    positive = np.asarray(labels) > 0
    _, level, count = np.unique(np.asarray(scores), return_inverse=True, return_counts=True)
    rank = np.cumsum(count) - (count - 1) / 2  # mean rank of each level, from 1
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return float("nan")
    return float((rank[level][positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))
