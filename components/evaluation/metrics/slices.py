"""Assign the requests or candidates of a block to slices."""

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Value = str | int | float
SliceKey = tuple[tuple[str, Value], ...]


def slices(
    block: pa.RecordBatch,
    names: Sequence[str],
    *,
    bands: Mapping[str, Sequence[float]],
    item_slices: Collection[str],
    row: NDArray[np.int64],
) -> dict[SliceKey, NDArray[np.intp]]:
    """Find the members of each slice by the named columns, or by their cross; without names: everything, under ().

    Args:
        block: the examples' columns; a request's values are a list, of one value or of one for each candidate.
        names: of the columns. A request without the column is in no slice; one that has it empty is in the slice of "".
        bands: where columns of numbers are cut.
        item_slices: columns that have a value for each candidate. With one of them a slice holds indices of candidates,
            else of requests.
        row: the request of each candidate [N].
    """
    of_items = not set(item_slices).isdisjoint(names)
    size = len(row) if of_items else block.num_rows
    if not names:
        return {(): np.arange(size)}
    columns = []
    for name in sorted(names):
        if name not in block.schema.names:
            return {}
        codes, values = _coded(block.column(name), bands.get(name), of_candidates=name in item_slices)
        columns.append((name, codes[row] if of_items and name not in item_slices else codes, values))
    codes = np.stack([codes for _, codes, _ in columns])  # (names, size)
    members = np.flatnonzero((codes >= 0).all(axis=0))
    combinations, which = np.unique(codes[:, members], axis=1, return_inverse=True)
    members = members[np.argsort(which, kind="stable")]
    ends = np.cumsum(np.bincount(which, minlength=combinations.shape[1]))[:-1]
    keys = [tuple((name, values[code]) for (name, _, values), code in zip(columns, each, strict=True)) for each in combinations.T]
    return dict(zip(keys, np.split(members, ends), strict=True)) if keys else {}


def _coded(column: pa.Array, cuts: Sequence[float] | None, *, of_candidates: bool) -> tuple[NDArray[np.int64], list[Value]]:
    """Encode a column: a code for each value, -1 where there is none, and the value of each code."""
    if pa.types.is_null(column.type):
        return np.full(0 if of_candidates else len(column), -1), []
    values = column.flatten()
    if cuts is None:
        encoded = values.dictionary_encode()
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        meanings = [value.decode() if isinstance(value, bytes) else value for value in encoded.dictionary.to_pylist()]
    else:
        codes, meanings = _banded(values.to_numpy(zero_copy_only=False), cuts)
    if of_candidates:
        return codes, meanings
    lengths = column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    first = (np.cumsum(lengths) - lengths)[lengths > 0]
    of_requests = np.full(len(column), -1)
    of_requests[lengths > 0] = codes[first]
    return of_requests, meanings


def _banded(numbers: NDArray[np.integer | np.floating], cuts: Sequence[float]) -> tuple[NDArray[np.int64], list[Value]]:
    whole = np.issubdtype(numbers.dtype, np.integer)
    at = np.array(cuts, np.float64 if whole else numbers.dtype)  # 0.7 of the file is 0.7 as the examples have it
    return np.where(np.isnan(numbers.astype(np.float64)), len(cuts) + 1, np.digitize(numbers, at)), [*band_names(cuts, whole=whole), ""]


def band_names(cuts: Sequence[float], *, whole: bool) -> list[str]:
    """Name the bands between ascending cuts; the cut itself belongs to the upper one.

    Whole numbers cut at 1, 3, 10: `0`, `1-2`, `3-9`, `10+`. Others cut at 5, 20: `below 5`, `5 to 20`, `from 20`.
    """
    if not whole:
        between = [f"{low:g} to {high:g}" for low, high in pairwise(cuts)]
        return [f"below {cuts[0]:g}", *between, f"from {cuts[-1]:g}"]
    firsts = [0, *(int(np.ceil(cut)) for cut in cuts)]
    between = [f"{low}" if high - low <= 1 else f"{low}-{high - 1}" for low, high in pairwise(firsts)]
    return [*between, f"{firsts[-1]}+"]
