"""Parse serialized examples to tensors, and define each column's dtype and shape."""

from collections.abc import Iterable

import tensorflow as tf

from components.contract.columns import Column

Features = dict[str, tf.Tensor | tf.RaggedTensor]

BLOCK = 24
"""Rows that are computed alike: whole vectors of 8 floats, and whole tiles of 6 or 8 rows in products of matrices."""

_TYPES = {"string": tf.string, "int64": tf.int64, "float32": tf.float32}


def parsing_spec(columns: Iterable[Column]) -> dict[str, tf.io.FixedLenFeature | tf.io.RaggedFeature]:
    """Return the spec by which `tf.io.parse_example` reads the columns."""
    return {column.name: _spec(column) for column in columns}


def parse(serialized: tf.Tensor, columns: Iterable[Column]) -> Features:
    """Parse serialized examples [B] to tensors by column name.

    Columns of the request: [B], vectors [B, size]. Columns of candidates and history: ragged [B, (L)] and [B, (H)]; a
    candidate's vector is not reshaped, so that its column is [B, (L * size)], as in Transform.
    """
    return dict(tf.io.parse_example(serialized, parsing_spec(columns)))


def dense_spec(column: Column) -> tf.TensorSpec:
    """Return the spec of a column as one padded tensor: [B], [B, H] or [B, L], and `size` behind it for vectors."""
    lists = [] if column.axis == "request" else [None]
    return tf.TensorSpec([None, *lists, *([column.size] if column.size > 1 else [])], _TYPES[column.dtype], name=column.name)


def from_dense(dense: Features, columns: Iterable[Column], *, lengths: dict[str, tf.Tensor]) -> Features:
    """Convert padded tensors to what `parse` returns; values beyond `lengths` [B], by axis, are never read."""
    features: Features = {}
    columns = tuple(columns)
    ragged: dict[str, tuple[tf.Tensor, tf.Tensor]] = {}
    for column in columns:
        values = dense[column.name]
        if column.axis != "request":
            if column.axis not in ragged:
                width = tf.reduce_max([tf.shape(dense[each.name], tf.int64)[1] for each in columns if each.axis == column.axis])
                rows = tf.clip_by_value(lengths[column.axis], 0, width)
                ragged[column.axis] = tf.concat([[0], tf.cumsum(rows)], 0), tf.where(tf.sequence_mask(rows, width))
            splits, counting = ragged[column.axis]
            flat = tf.reshape(tf.gather_nd(values, counting), [-1])
            values = tf.RaggedTensor.from_row_splits(flat, splits * column.size, validate=False)
        features[column.name] = values
    return features


def in_blocks(features: Features, columns: tuple[Column, ...], *, longest: int) -> Features:
    """Append empty requests, candidates and events to what `parse` gives, up to a multiple of `BLOCK` of each.

    Kernels compute the remainder of whole vectors, and a single row, with other instructions than the rest, and a sum over
    the longest history of a batch in another order than over a shorter one: last bits differ. In whole blocks, beside a
    history of `longest` events, equal requests have equal scores at every position of a batch.
    """
    first = features[columns[0].name]
    requests = first.nrows() if isinstance(first, tf.RaggedTensor) else tf.shape(first, tf.int64)[0]
    empty = 2 + -(requests + 2) % BLOCK  # one with the events of a full history, one with what is left to a multiple
    splits: dict[str, tf.Tensor] = {}
    missing: dict[str, tf.Tensor] = {"request": empty}
    filled: Features = {}
    for column in columns:
        values = features[column.name]
        if column.axis not in missing:
            starts = values.row_splits // column.size
            full = starts[-1:] + (max(longest, BLOCK) if column.axis == "history" else 0)
            splits[column.axis] = tf.concat([starts, full, tf.repeat(full + -full % BLOCK, empty - 1)], axis=0)
            missing[column.axis] = splits[column.axis][-1] - starts[-1]
        if column.axis == "request":
            filled[column.name] = _followed_by_zeros(values, empty)
        else:
            flat = _followed_by_zeros(values.flat_values, missing[column.axis] * column.size)
            filled[column.name] = tf.RaggedTensor.from_row_splits(flat, splits[column.axis] * column.size, validate=False)
    return filled


def _followed_by_zeros(values: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    return tf.pad(values, [[0, count], *[[0, 0]] * (values.shape.rank - 1)])


def _spec(column: Column) -> tf.io.FixedLenFeature | tf.io.RaggedFeature:
    dtype = _TYPES[column.dtype]
    if column.axis == "request":
        return tf.io.FixedLenFeature([column.size] if column.size > 1 else [], dtype)
    return tf.io.RaggedFeature(dtype, row_splits_dtype=tf.int64)
