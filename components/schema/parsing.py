"""Parse serialized examples to tensors, and define each column's dtype and shape."""

from collections.abc import Iterable

import tensorflow as tf

from components.contract.columns import Column

Features = dict[str, tf.Tensor | tf.RaggedTensor]

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
    for column in columns:
        values = dense[column.name]
        if column.axis != "request":
            width = tf.shape(values, out_type=tf.int64)[1]
            rows = tf.clip_by_value(lengths[column.axis], 0, width) * column.size
            flat = tf.reshape(values, tf.stack([tf.shape(values, out_type=tf.int64)[0], width * column.size]))
            values = tf.RaggedTensor.from_tensor(flat, lengths=rows)
        features[column.name] = values
    return features


def _spec(column: Column) -> tf.io.FixedLenFeature | tf.io.RaggedFeature:
    dtype = _TYPES[column.dtype]
    if column.axis == "request":
        return tf.io.FixedLenFeature([column.size] if column.size > 1 else [], dtype)
    return tf.io.RaggedFeature(dtype, row_splits_dtype=tf.int64)
