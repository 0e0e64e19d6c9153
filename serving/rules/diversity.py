"""Maximal marginal relevance: Carbonell & Goldstein 1998, "The use of MMR, diversity-based reranking", equation 1."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def mmr(alike: NDArray[Any] | Sequence[Any], *, weight: float, first: int) -> NDArray[np.int64]:
    """A new order of L candidates that stand in order of relevance.

    Each of the first places goes to the candidate with the greatest (1 - weight) relevance - weight max similarity to those placed, which
    is the paper's with lambda = 1 - weight; ties to the one that stood higher. Relevance is 1 - place / first: scores of any scale and sign
    count alike, so does what other rules did to the order, and a candidate passes at most first weight / (1 - weight) others, however long
    the list. The candidates that are left keep their order.

    Args:
        alike: [L] values, of which equal ones have similarity 1 and others 0 (a missing one, None, "" or NaN, is like nothing); or
            [L, D] vectors, compared by their cosine (a zero vector is like nothing).
        weight: from 0 to 1.
        first: how many places are filled so.

    Returns:
        Places before, [L], in the new order.
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
    """Similarity of all candidates to one, [L]."""

    def __init__(self, alike: NDArray[Any] | Sequence[Any]) -> None:
        self._vectors: NDArray[np.float64] | None = None
        if isinstance(alike, np.ndarray) and alike.ndim == 2:
            vectors = np.nan_to_num(alike.astype(np.float64))
            length = np.linalg.norm(vectors, axis=1, keepdims=True)
            self._vectors = vectors / np.where(length > 0, length, 1)
            return
        codes: dict[Any, int] = {}
        # A missing value gets a code of its own each time.
        keys = (("missing", at) if _missing(value) else ("value", value) for at, value in enumerate(alike))
        self._codes = np.fromiter((codes.setdefault(key, len(codes)) for key in keys), np.int64, len(alike))

    def to(self, one: int) -> NDArray[np.float64]:
        if self._vectors is not None:
            return np.asarray(self._vectors @ self._vectors[one])
        return np.asarray(self._codes == self._codes[one], np.float64)


def _missing(value: Any) -> bool:
    return value is None or value in ("", b"") or (isinstance(value, float | np.floating) and bool(np.isnan(value)))
