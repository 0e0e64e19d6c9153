"""Permute one feature's values across requests or candidates, and leave all other features as they are.

A feature of requests is permuted across requests, all of its columns together, a history as a whole; one of candidates
across all candidates of the block, whatever their lists. A list-relative feature has no column: it compares a number
with the rest of its list, so it is permuted by placing each candidate's number among those of another request. A
candidate's score depends on the others only through these features, so nothing else changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from components.contract.columns import Column, input_columns
from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.features import ListRelative

LIST_COPIES = 8
"""Copies of a request, in each of which some candidates keep their number; in a longer list an eighth of the rest keeps it too."""


@dataclass(frozen=True, slots=True)
class PermutedFeature:
    """A feature with the columns to permute; of a list-relative one, the column of the number that it compares."""

    name: str
    columns: tuple[Column, ...]
    compares: bool = False


def permuted_features(dataset: Dataset) -> tuple[PermutedFeature, ...]:
    """List the features of the dataset file, in its order."""
    inputs = input_columns(dataset)
    listed = []
    for feature in dataset.features:
        compares = isinstance(feature, ListRelative)
        source = feature.of if isinstance(feature, ListRelative) else feature.name
        listed.append(PermutedFeature(feature.name, tuple(column for column in inputs if column.feature == source), compares))
    return tuple(listed)


def permute(
    block: pa.RecordBatch, columns: Sequence[Column], *, row_lengths: NDArray[np.int64], random: np.random.Generator
) -> pa.RecordBatch:
    """Permute the columns' values in a block of R requests, all columns alike.

    Args:
        block: lists of values by request.
        columns: of one feature, so of candidates, or else of requests and histories.
        row_lengths: candidates of each request [R].
        random: draws the order.

    Raises:
        InputError: a column hasn't `size` values for each candidate.
    """
    if columns[0].axis == "candidate":
        order = random.permutation(int(row_lengths.sum()))
        moved = {
            column.name: _candidates_taken(block, column, row_lengths, order) for column in columns if column.name in block.schema.names
        }
    else:
        order = random.permutation(block.num_rows)
        moved = {column.name: block.column(column.name).take(pa.array(order)) for column in columns if column.name in block.schema.names}
    return replaced(block, moved)


@dataclass(frozen=True, slots=True)
class CopiedRequests:
    """C copies of requests, in each of which some candidates keep their number among those of another request."""

    block: pa.RecordBatch
    row_lengths: NDArray[np.int64]  # [C], of the copies
    scored: NDArray[np.intp]  # [N], index among the copies' candidates of the one to score for each candidate of the requests


def permute_list_context(
    block: pa.RecordBatch, column: Column, *, row_lengths: NDArray[np.int64], random: np.random.Generator
) -> CopiedRequests:
    """Place each candidate's number in a list of another request's numbers.

    A request with L candidates is copied min(L, LIST_COPIES) times. In copy c the candidates c, c + copies, ... keep
    their number; the others get those of another request, drawn at random, repeated or cut to fill the list.
    """
    requests = len(row_lengths)
    start = np.cumsum(row_lengths) - row_lengths
    # A cyclic shift of a random order: with two requests or more, none gets its own list.
    cycle = random.permutation(requests)
    other = np.empty(requests, np.int64)
    other[cycle] = np.roll(cycle, 1)
    copies = np.minimum(row_lengths, LIST_COPIES)
    origin = np.repeat(np.arange(requests), copies)  # [C]
    copy = np.arange(len(origin)) - np.repeat(np.cumsum(copies) - copies, copies)
    lengths = row_lengths[origin]
    of_copy = np.repeat(np.arange(len(origin)), lengths)  # [candidates of the copies]
    position = np.arange(len(of_copy)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    own = position % copies[origin][of_copy] == copy[of_copy]
    source = other[origin][of_copy]
    foreign = start[source] + position % np.maximum(row_lengths[source], 1)
    number = np.where(own | (row_lengths[source] == 0), start[origin][of_copy] + position, foreign)
    everything = block.take(pa.array(origin))
    flat = _of_candidates(block, column, row_lengths)
    taken = _lists(flat, number, lengths, like=everything.column(column.name))
    scored = np.flatnonzero(own)
    scored = scored[np.lexsort((position[scored], origin[of_copy[scored]]))]
    return CopiedRequests(replaced(everything, {column.name: taken}), lengths, scored)


def replaced(block: pa.RecordBatch, columns: dict[str, pa.Array]) -> pa.RecordBatch:
    """Replace columns of a block."""
    return pa.RecordBatch.from_arrays([columns.get(name, block.column(name)) for name in block.schema.names], names=block.schema.names)


def _candidates_taken(block: pa.RecordBatch, column: Column, row_lengths: NDArray[np.int64], order: NDArray[np.int64]) -> pa.Array:
    flat = _of_candidates(block, column, row_lengths)
    at = (order[:, None] * column.size + np.arange(column.size)).ravel()
    return _lists(flat, at, row_lengths * column.size, like=block.column(column.name))


def _of_candidates(block: pa.RecordBatch, column: Column, row_lengths: NDArray[np.int64]) -> pa.Array:
    """Flatten a column of candidates; raises InputError where it hasn't `size` values for each."""
    values = block.column(column.name)
    lengths = np.zeros(len(values), np.int64) if pa.types.is_null(values.type) else values.value_lengths().fill_null(0).to_numpy(False)
    if not np.array_equal(lengths, row_lengths * column.size):
        row = int(np.flatnonzero(lengths != row_lengths * column.size)[0])
        raise InputError(
            f"expected {row_lengths[row] * column.size} values of {column.name!r} for the {row_lengths[row]} candidates of a request, "
            f"got {lengths[row]}; evaluate the examples as ingested"
        )
    return values.flatten()


def _lists(flat: pa.Array, at: NDArray[np.int64], lengths: NDArray[np.int64], *, like: pa.Array) -> pa.Array:
    """Make lists of these lengths from the values at these indices."""
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    kind = pa.LargeListArray if pa.types.is_large_list(like.type) else pa.ListArray
    offsets = pa.array(bounds, pa.int64() if kind is pa.LargeListArray else pa.int32())
    return kind.from_arrays(offsets, flat.take(pa.array(at)))
