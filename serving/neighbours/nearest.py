"""Find nearest neighbours by cosine with an exact search over all products.

A million products of 130 numbers are half a gigabyte, read once for all queries of a call. Results are cached, so an
approximate index would save little, and would have to be maintained.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from components.contract.errors import InputError

ROWS = 65_536  # of the catalogue in one block: their similarities to a hundred queries are 26 MB


class Neighbours(NamedTuple):
    """Neighbours of Q queries: `rows` [Q, K] of the catalogue, nearest first, ties by row, and their cosines [Q, K]."""

    rows: NDArray[np.int64]
    similarity: NDArray[np.float32]


def nearest(catalogue: NDArray[np.float32], queries: NDArray[np.float32], *, count: int) -> Neighbours:
    """Find the `count` nearest products of each query, or all where there are fewer.

    Args:
        catalogue: [N, D] unit vectors of the possible neighbours.
        queries: [Q, D] unit vectors.
        count: K.

    Raises:
        InputError: the widths differ, or K isn't at least 1.
    """
    if catalogue.shape[1:] != queries.shape[1:]:
        raise InputError(f"expected queries of {catalogue.shape[1]} numbers, as the catalogue has, got {queries.shape[1]}")
    if count < 1:
        raise InputError(f"expected at least one neighbour to be asked for, got {count}")
    best = np.empty((len(queries), 0), np.float32)
    rows = np.empty((len(queries), 0), np.int64)
    for first in range(0, len(catalogue), ROWS):
        block = queries @ catalogue[first : first + ROWS].T
        # Earlier blocks come first: in a tie the lower row wins.
        similarity = np.concatenate([best, block], axis=1)
        keep = _top_columns(similarity, count)
        before = best.shape[1]
        rows = np.where(keep < before, _take_columns(rows, keep), first + keep - before)
        best = np.take_along_axis(similarity, keep, 1)
    return Neighbours(rows, best)


def _take_columns(rows: NDArray[np.int64], keep: NDArray[np.int64]) -> NDArray[np.int64]:
    """Take the columns `keep` of `rows`; arbitrary values where a column doesn't exist."""
    return np.take_along_axis(rows, np.minimum(keep, rows.shape[1] - 1), 1) if rows.shape[1] else keep


def _top_columns(similarity: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Return the columns [Q, K] of the greatest values, descending, ties by column."""
    total = similarity.shape[1]
    if total <= count:
        return np.argsort(-similarity, axis=1, kind="stable")
    least = -np.partition(-similarity, count - 1, axis=1)[:, count - 1]
    order = np.empty((len(similarity), count), np.int64)
    for query, limit in enumerate(least):
        columns = np.flatnonzero(similarity[query] >= limit)
        order[query] = columns[np.argsort(-similarity[query, columns], kind="stable")[:count]]
    return order
