"""The nearest by cosine, exactly: every product is compared.

A million products of 130 numbers are half a gigabyte, read once for all queries together. A product needs its neighbours once, when it
is new, so an approximate index would save little and cost its own upkeep.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from components.contract.errors import InputError

ROWS = 65_536  # of the catalogue at a time: their similarities to a hundred queries are 26 MB


class Neighbours(NamedTuple):
    """Of Q queries: `rows` [Q, K] of the catalogue, nearest first, equally near ones by row; `similarity` [Q, K], their cosines."""

    rows: NDArray[np.int64]
    similarity: NDArray[np.float32]


def nearest(catalogue: NDArray[np.float32], queries: NDArray[np.float32], *, count: int) -> Neighbours:
    """The `count` nearest products of each query, or all where there are fewer.

    Args:
        catalogue: [N, D] unit vectors of those that may be neighbours.
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
        # Those found before come first: among equals they have the lower row.
        similarity = np.concatenate([best, block], axis=1)
        keep = _first(similarity, count)
        before = best.shape[1]
        rows = np.where(keep < before, _taken(rows, keep), first + keep - before)
        best = np.take_along_axis(similarity, keep, 1)
    return Neighbours(rows, best)


def _taken(rows: NDArray[np.int64], keep: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows in the columns `keep`; anything where there is no such column."""
    return np.take_along_axis(rows, np.minimum(keep, rows.shape[1] - 1), 1) if rows.shape[1] else keep


def _first(similarity: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """[Q, K] columns of the greatest, in order, the first of equals."""
    total = similarity.shape[1]
    if total <= count:
        return np.argsort(-similarity, axis=1, kind="stable")
    least = -np.partition(-similarity, count - 1, axis=1)[:, count - 1]
    order = np.empty((len(similarity), count), np.int64)
    for query, limit in enumerate(least):
        columns = np.flatnonzero(similarity[query] >= limit)
        order[query] = columns[np.argsort(-similarity[query, columns], kind="stable")[:count]]
    return order
