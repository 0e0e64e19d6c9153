"""Taking one feature's word away: its values are handed to other requests or candidates, and everything else stays as it was.

A feature of requests moves across requests, all of its columns together, a history as a whole; one of candidates across all candidates of
the block, whatever their lists. A list-relative feature has no column: it compares a number with the rest of its list, so its word is
taken away by putting another request's numbers around each candidate's own. A candidate's score doesn't depend on the others but through
these features, so nothing else changes.
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
"""In how many copies of a request its candidates keep their own number in turn: of the rest of a longer list an eighth stays as it was."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A feature whose word can be taken away: its columns or, of a list-relative one, the column of the number that it compares."""

    name: str
    columns: tuple[Column, ...]
    compares: bool = False


def subjects(dataset: Dataset) -> tuple[Subject, ...]:
    """The features of the dataset file, in its order."""
    inputs = input_columns(dataset)
    found = []
    for feature in dataset.features:
        compares = isinstance(feature, ListRelative)
        of = feature.of if isinstance(feature, ListRelative) else feature.name
        found.append(Subject(feature.name, tuple(column for column in inputs if column.feature == of), compares))
    return tuple(found)


def permuted(
    block: pa.RecordBatch, columns: Sequence[Column], *, row_lengths: NDArray[np.int64], random: np.random.Generator
) -> pa.RecordBatch:
    """The block of R requests with the columns' values in another order, the same for all of them.

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
class Held:
    """Copies of requests, in each of which some candidates keep their number among those of another request."""

    block: pa.RecordBatch
    row_lengths: NDArray[np.int64]  # [C], of the copies
    scored: NDArray[np.intp]  # [N], where each candidate of the requests stands, in their order, among those of the copies


def held_against_another_list(
    block: pa.RecordBatch, column: Column, *, row_lengths: NDArray[np.int64], random: np.random.Generator
) -> Held:
    """Each candidate with its own number in a list of another request's numbers.

    A request with L candidates is copied min(L, LIST_COPIES) times. In copy c the candidates c, c + copies, ... keep their number; the
    others get those of another request, drawn with a length of its own and repeated or cut to fill the list.
    """
    requests = len(row_lengths)
    start = np.cumsum(row_lengths) - row_lengths
    # A shift of a shuffled circle: nobody is given his own list, so long as there are two.
    circle = random.permutation(requests)
    other = np.empty(requests, np.int64)
    other[circle] = np.roll(circle, 1)
    copies = np.minimum(row_lengths, LIST_COPIES)
    origin = np.repeat(np.arange(requests), copies)  # [C]
    copy = np.arange(len(origin)) - np.repeat(np.cumsum(copies) - copies, copies)
    lengths = row_lengths[origin]
    of_copy = np.repeat(np.arange(len(origin)), lengths)  # [candidates of the copies]
    place = np.arange(len(of_copy)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    own = place % copies[origin][of_copy] == copy[of_copy]
    source = other[origin][of_copy]
    foreign = start[source] + place % np.maximum(row_lengths[source], 1)
    number = np.where(own | (row_lengths[source] == 0), start[origin][of_copy] + place, foreign)
    everything = block.take(pa.array(origin))
    flat = _of_candidates(block, column, row_lengths)
    taken = _lists(flat, number, lengths, like=everything.column(column.name))
    scored = np.flatnonzero(own)
    scored = scored[np.lexsort((place[scored], origin[of_copy[scored]]))]
    return Held(replaced(everything, {column.name: taken}), lengths, scored)


def replaced(block: pa.RecordBatch, columns: dict[str, pa.Array]) -> pa.RecordBatch:
    """The block with other values in these columns."""
    return pa.RecordBatch.from_arrays([columns.get(name, block.column(name)) for name in block.schema.names], names=block.schema.names)


def _candidates_taken(block: pa.RecordBatch, column: Column, row_lengths: NDArray[np.int64], order: NDArray[np.int64]) -> pa.Array:
    flat = _of_candidates(block, column, row_lengths)
    at = (order[:, None] * column.size + np.arange(column.size)).ravel()
    return _lists(flat, at, row_lengths * column.size, like=block.column(column.name))


def _of_candidates(block: pa.RecordBatch, column: Column, row_lengths: NDArray[np.int64]) -> pa.Array:
    """The values of a column of candidates, one after the other."""
    found = block.column(column.name)
    lengths = np.zeros(len(found), np.int64) if pa.types.is_null(found.type) else found.value_lengths().fill_null(0).to_numpy(False)
    if not np.array_equal(lengths, row_lengths * column.size):
        row = int(np.flatnonzero(lengths != row_lengths * column.size)[0])
        raise InputError(
            f"expected {row_lengths[row] * column.size} values of {column.name!r} for the {row_lengths[row]} candidates of a request, "
            f"got {lengths[row]}; evaluate the examples as ingested"
        )
    return found.flatten()


def _lists(flat: pa.Array, at: NDArray[np.int64], lengths: NDArray[np.int64], *, like: pa.Array) -> pa.Array:
    """Lists of these lengths of the values at these places."""
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    kind = pa.LargeListArray if pa.types.is_large_list(like.type) else pa.ListArray
    offsets = pa.array(bounds, pa.int64() if kind is pa.LargeListArray else pa.int32())
    return kind.from_arrays(offsets, flat.take(pa.array(at)))
