"""Read the columns of examples, as ingestion writes them, for a window's sketch."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from components.contract.columns import Column, columns
from components.contract.dataset import Dataset
from components.contract.features import Multi, Text, Vector
from components.drift.sketch.window_sketch import ColumnValues, RequestBlock
from components.evaluation.metrics.arrow_columns import candidate_ids, shoppers

LENGTH = "n_history"


def request_block(batch: pa.RecordBatch, dataset: Dataset) -> RequestBlock:
    """Return the requests of a batch of decoded examples, with the columns that `sketched` names."""
    hashes = shoppers(batch)
    times = batch.column("time").flatten().to_numpy(zero_copy_only=False).astype(np.int64)
    if hashes is None:
        hashes = np.arange(len(times), dtype=np.uint64)
    return RequestBlock(hashes, times, tuple(_columns(batch, dataset)))


def sketched(dataset: Dataset) -> tuple[Column, ...]:
    """List the columns that are compared: the model's inputs, of a history its newest event, and the labels."""
    return tuple(column for column in columns(dataset) if column.role in ("input", "label"))


def column_values(dataset: Dataset, column: Column, values: "pa.Array[Any]", requests: NDArray[np.int64]) -> ColumnValues:
    """Return a column's flat values [N * size] as what is counted: texts by length, sets by element, vectors by norm."""
    feature = None if not column.feature else dataset.feature(column.feature)
    match feature:
        case Vector():
            matrix = values.to_numpy(zero_copy_only=False).reshape(-1, column.size)
            return ColumnValues(column.name, np.linalg.norm(matrix, axis=1).astype(np.float32), requests)
        case Text():
            lengths = pc.binary_length(values).to_numpy(zero_copy_only=False).astype(np.float32)
            return ColumnValues(column.name, np.where(lengths > 0, lengths, np.float32(np.nan)), requests)
        case Multi(separator=separator):
            parts = pc.split_pattern(values.cast(pa.string()), separator)
            return ColumnValues(column.name, parts.flatten(), np.repeat(requests, parts.value_lengths().to_numpy(zero_copy_only=False)))
    if column.dtype == "string":
        return ColumnValues(column.name, values, requests)
    return ColumnValues(column.name, values.to_numpy(zero_copy_only=False).astype(np.float32), requests)


def of_items(column: ColumnValues, items: NDArray[np.uint64]) -> ColumnValues:
    """Return a column of candidates with the hashes of their items [N], which numbers are counted by."""
    return replace(column, items=items) if isinstance(column.values, np.ndarray) and len(column.values) == len(items) else column


def _columns(batch: pa.RecordBatch, dataset: Dataset) -> Iterator[ColumnValues]:
    has_length = False
    items = candidate_ids(batch, "item")
    for column in sketched(dataset):
        if column.name not in batch.schema.names:
            continue
        values = batch.column(column.name)
        if pa.types.is_null(values.type):
            continue
        if column.axis == "history":
            offsets = values.offsets.to_numpy()
            ends, lengths = offsets[1:], np.diff(offsets)
            if not has_length:
                has_length = True
                yield ColumnValues(LENGTH, lengths.astype(np.float32), np.arange(len(values)))
            yield column_values(dataset, column, values.values.take(pa.array(ends[lengths > 0] - 1)), np.flatnonzero(lengths > 0))
        else:
            lengths = values.value_lengths().fill_null(0).to_numpy(zero_copy_only=False) // column.size
            read = column_values(dataset, column, values.flatten(), np.repeat(np.arange(len(values)), lengths))
            yield of_items(read, items) if column.axis == "candidate" and items is not None else read
