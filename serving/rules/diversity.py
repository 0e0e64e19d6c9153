"""Rerank by Carbonell & Goldstein 1998, "The use of MMR, diversity-based reranking", equation 1."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def mmr(alike: NDArray[Any] | Sequence[Any], *, weight: float, first: int) -> NDArray[np.int64]:
    """Rerank L candidates that are sorted by relevance.

    Each of the first places gets the candidate with the greatest (1 - weight) relevance - weight max similarity to
    those placed, which is the paper's with lambda = 1 - weight; ties to the one that was higher. Relevance is 1 - place
    / first: so scores of any scale and sign have the same effect, moves by other rules are kept, and a candidate passes
    at most first weight / (1 - weight) others, however long the list. The remaining candidates keep their order.

    Args:
        alike: [L] values, of which equal ones have similarity 1 and others 0 (a missing one, None, "" or NaN, has
            similarity 0 to all); or [L, D] vectors, compared by their cosine (a zero vector has similarity 0 to all).
        weight: from 0 to 1.
        first: the number of places to fill.

    Returns:
        The old places [L] in the new order.
    """
    total = len(alike)
    similarity = _Similarity(alike)
    relevance = (1 - weight) * (1 - np.arange(total) / first)
    penalty = np.zeros(total)
    left = np.ones(total, np.bool_)
    order: list[int] = []
    for index in range(min(first, total)):
        utility = np.where(left, relevance - weight * penalty, -np.inf)
        best = int(np.argmax(utility))  # the first of equals
        order.append(best)
        left[best] = False
        to_best = similarity.to(best)
        penalty = to_best if index == 0 else np.maximum(penalty, to_best)
    return np.concatenate([np.array(order, np.int64), np.flatnonzero(left)])


class _Similarity:
    """Similarity of all candidates [L] to one."""

    def __init__(self, alike: NDArray[Any] | Sequence[Any]) -> None:
        self._vectors: NDArray[np.float64] | None = None
        if isinstance(alike, np.ndarray) and alike.ndim == 2:
            vectors = np.nan_to_num(alike.astype(np.float64))
            length = np.linalg.norm(vectors, axis=1, keepdims=True)
            self._vectors = vectors / np.where(length > 0, length, 1)
            return
        codes: dict[Any, int] = {}
        # Each missing value gets a code of its own.
        keys = (("missing", at) if _missing(value) else ("value", value) for at, value in enumerate(alike))
        self._codes = np.fromiter((codes.setdefault(key, len(codes)) for key in keys), np.int64, len(alike))

    def to(self, one: int) -> NDArray[np.float64]:
        if self._vectors is not None:
            return np.asarray(self._vectors @ self._vectors[one])
        return np.asarray(self._codes == self._codes[one], np.float64)


def _missing(value: Any) -> bool:
    return value is None or value in ("", b"") or (isinstance(value, float | np.floating) and bool(np.isnan(value)))
