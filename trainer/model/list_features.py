"""Compare a candidate's number with those of the list's other candidates; no other feature depends on them."""

import tensorflow as tf


def rank_in_list(values: tf.RaggedTensor) -> tf.RaggedTensor:
    """Rank each number among its request's, from -1/2 (the lowest) to 1/2 (the highest); [B, (L)] to [B, (L)].

    Ties share the mean of their ranks. NaN stays NaN and isn't counted; the only number of a list is at 0, the middle.
    """
    known = tf.math.is_finite(values.flat_values)
    padded = values.with_values(tf.where(known, values.flat_values, float("inf"))).to_tensor(float("inf"))  # (requests, candidates)
    ordered = tf.sort(padded, axis=-1)
    below = tf.searchsorted(ordered, padded, side="left")
    not_above = tf.searchsorted(ordered, padded, side="right")
    count = tf.reduce_sum(tf.cast(padded < float("inf"), tf.int32), axis=-1, keepdims=True)
    rank = tf.cast(below + not_above - 1, tf.float32) / 2  # from 0
    centred = tf.math.divide_no_nan(rank, tf.cast(count - 1, tf.float32)) - tf.where(count > 1, 0.5, 0.0)
    flat = tf.RaggedTensor.from_tensor(centred, lengths=values.row_lengths()).flat_values
    return values.with_values(tf.where(known, flat, float("nan")))


def ratio_to_mean(values: tf.RaggedTensor) -> tf.RaggedTensor:
    """Divide each number by the mean of the request's known ones, clipped to [1/1000, 1000]; [B, (L)] to [B, (L)].

    1 where the mean isn't positive, NaN where the number is.
    """
    known = tf.math.is_finite(values.flat_values)
    total = tf.reduce_sum(values.with_values(tf.where(known, values.flat_values, 0.0)), axis=1)
    count = tf.reduce_sum(values.with_values(tf.cast(known, tf.float32)), axis=1)
    mean = tf.gather(tf.math.divide_no_nan(total, count), values.value_rowids())
    ratio = tf.clip_by_value(tf.math.divide_no_nan(values.flat_values, mean), 1e-3, 1e3)
    return values.with_values(tf.where(known, tf.where(mean > 0, ratio, 1.0), float("nan")))
