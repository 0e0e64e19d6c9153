"""Score candidates without a model, for fallbacks and baseline arms."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]


def popularity_scores(tensors: Mapping[str, NDArray[Any]], column: str | None, length: int) -> Scores | None:
    """Return the popularity of each candidate, [L]; None where all are equal, which is no order."""
    if column is None:
        return None
    values = tensors[column][0, :length].astype(np.float64)
    return values if len(values) == 1 or np.ptp(values) > 0 else None


def constant_scores(length: int) -> Scores:
    """Return scores that keep the order, [L]."""
    return np.zeros(length)


def random_scores(request: str, length: int) -> Scores:
    """Return random scores seeded by the request's id, [L]: the same request has the same order."""
    seed = int.from_bytes(hashlib.sha256(request.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).random(length)
