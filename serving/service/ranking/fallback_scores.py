"""Scores where no model gives any: what orders a shelf when the model can't be asked, or an arm of an experiment says so."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]


def by_popularity(tensors: Mapping[str, NDArray[Any]], column: str | None, length: int) -> Scores | None:
    """[L] how popular each candidate is; None where nothing tells one from another, so that this would be no order."""
    if column is None:
        return None
    values = tensors[column][0, :length].astype(np.float64)
    return values if len(values) == 1 or np.ptp(values) > 0 else None


def as_given(length: int) -> Scores:
    """[L] scores that keep the order."""
    return np.zeros(length)


def by_lot(request: str, length: int) -> Scores:
    """[L] scores drawn by the request's id: asked again it has the same order."""
    seed = int.from_bytes(hashlib.sha256(request.encode()).digest()[:8], "big")
    return np.random.default_rng(seed).random(length)
