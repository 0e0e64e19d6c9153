"""The listwise half of the loss."""

import tensorflow as tf


def softmax_cross_entropy(labels: tf.Tensor, logits: tf.Tensor, rows: tf.Tensor, requests: tf.Tensor) -> tf.Tensor:
    """Mean over requests with a positive of -sum_i (y_i / sum_j y_j) log softmax(s)_i.

    ListNet with top-one probabilities (Cao et al. 2007).

    `labels` and `logits` are flat [N, ...], `rows` [N] ascending names the request of each of `requests`; the mean over what stands
    behind N is taken last. Without any positive the loss is 0.
    """
    top = tf.stop_gradient(tf.math.unsorted_segment_max(logits, rows, requests))
    shifted = logits - tf.gather(top, rows)
    total = tf.math.unsorted_segment_sum(tf.exp(shifted), rows, requests)
    log_probability = shifted - tf.math.log(tf.gather(total, rows))
    positives = tf.math.unsorted_segment_sum(labels, rows, requests)
    share = tf.math.divide_no_nan(labels, tf.gather(positives, rows))
    with_positive = tf.reduce_sum(tf.cast(positives > 0, tf.float32), axis=0)
    return tf.reduce_mean(tf.math.divide_no_nan(-tf.reduce_sum(share * log_probability, axis=0), with_positive))
