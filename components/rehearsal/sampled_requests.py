"""Convert sampled requests to the tensors of `serving_default`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from components.contract.columns import Column, columns, input_columns, signature_columns
from components.contract.dataset import Dataset
from components.schema.parsing import parse

Array = NDArray[Any]


@dataclass(frozen=True)
class SampledRequest:
    """A request of the examples; `values` by column, unpadded: [] or [size], of candidates and history [L] or [L,
    size]."""

    name: str
    candidates: int
    values: dict[str, Array]


def read_requests(serialized: Sequence[bytes], dataset: Dataset) -> tuple[SampledRequest, ...]:
    """Parse serialized examples."""
    inputs = input_columns(dataset)
    name = next(column for column in columns(dataset) if column.name == "request")
    parsed = parse(tf.constant(list(serialized), tf.string), {column.name: column for column in (*inputs, name)}.values())
    by_column = {column.name: _rows(parsed[column.name], column) for column in inputs}
    names = [text.decode(errors="replace") for text in parsed["request"].numpy()]
    listed = next(column.name for column in inputs if column.axis == "candidate")
    return tuple(
        SampledRequest(name, len(by_column[listed][row]), {column: rows[row] for column, rows in by_column.items()})
        for row, name in enumerate(names)
    )


def resized(request: SampledRequest, length: int, dataset: Dataset) -> SampledRequest:
    """Resize a request to `length` candidates: cut, or repeated from the first on."""
    index = np.arange(length) % request.candidates
    lists = {column.name for column in input_columns(dataset) if column.axis == "candidate"}
    values = {name: value[index] if name in lists else value for name, value in request.values.items()}
    return replace(request, candidates=length, values=values)


def tensors(request: SampledRequest, length: int, dataset: Dataset) -> dict[str, Array]:
    """Make a batch of one, by name; candidates are padded to `length`, the history to its greatest length."""
    widths = {"candidate": length, "history": dataset.history.length if dataset.history else 0}
    filled: dict[str, Array] = {}
    for column in signature_columns(dataset):
        if column.name == "n_candidates":
            filled[column.name] = np.array([request.candidates], np.int64)
        elif column.name == "n_history":
            events = next(each.name for each in input_columns(dataset) if each.axis == "history")
            filled[column.name] = np.array([len(request.values[events])], np.int64)
        elif column.axis == "request":
            filled[column.name] = request.values[column.name][None]
        else:
            filled[column.name] = _filled(request.values[column.name], widths[column.axis])[None]
    return filled


def _filled(values: Array, width: int) -> Array:
    padding = np.full((width - len(values), *values.shape[1:]), b"" if values.dtype == object else 0, values.dtype)
    return np.concatenate([values, padding])


def _rows(column_values: Any, column: Column) -> Sequence[Array]:
    if column.axis == "request":
        values = column_values.numpy()
        return [np.asarray(row, values.dtype) for row in values]
    flat, splits = column_values.flat_values.numpy(), column_values.row_splits.numpy()
    rows = [flat[start:end] for start, end in pairwise(splits)]
    return [row.reshape(-1, column.size) for row in rows] if column.size > 1 else rows
