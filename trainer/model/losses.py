"""Define the pointwise and listwise losses."""

import tensorflow as tf
import tf_keras as keras


def cross_entropy() -> keras.losses.Loss:
    """Return the binary cross-entropy of logits by candidate; Keras refuses to average under a strategy."""
    return keras.losses.BinaryCrossentropy(from_logits=True, reduction=keras.losses.Reduction.NONE)


class NonNegativeCrossEntropy(keras.losses.Loss):
    """Compute the binary cross-entropy of logits [N, 1] with unbiased targets t [N, 1] that may be above 1.

    mean(t l+) + max(0, mean((1 - t) l-)) with l+ = -log s and l- = -log(1 - s). For targets in [0, 1] it is the usual
    cross-entropy. A target above 1 has a negative (1 - t) l-, unbounded as s nears 1, so a network that overfits its
    positives would drive the sum to -infinity. But the risk that mean((1 - t) l-) estimates, that of the negatives,
    isn't below 0: so the estimate over the batch is clipped at 0 (Kiryo et al. 2017, "Positive-unlabeled learning with
    non-negative risk estimator").
    """

    def __init__(self) -> None:
        super().__init__(reduction=keras.losses.Reduction.NONE, name="non_negative_cross_entropy")  # `call` has taken the mean

    def call(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Return the loss of the batch, a scalar."""
        positive = tf.reduce_mean(targets * tf.nn.softplus(-logits))
        negative = tf.reduce_mean((1 - targets) * tf.nn.softplus(logits))
        return positive + tf.nn.relu(negative)


def softmax_cross_entropy(
    labels: tf.Tensor, logits: tf.Tensor, rows: tf.Tensor, requests: tf.Tensor, *, weights: tf.Tensor | None = None
) -> tf.Tensor:
    """Return the mean over requests with n > 0 positives of -sum_i w_i (y_i / n) log softmax(s)_i.

    ListNet with top-one probabilities (Cao et al. 2007). With y above 1 a positive counts more often: y / e is
    inverse-propensity weighting (Ai et al. 2018, "Unbiased learning to rank with unbiased propensity estimation"); a
    soft label counts as a fraction of a positive.

    `labels` and `logits` are flat over candidates [N, ...], `rows` [N] ascending is the request of each, `requests`
    their number; `weights` are w, by default 1. The mean over the axes after N is taken last. Without any positive the
    loss is 0.
    """
    top = tf.stop_gradient(tf.math.unsorted_segment_max(logits, rows, requests))
    shifted = logits - tf.gather(top, rows)
    total = tf.math.unsorted_segment_sum(tf.exp(shifted), rows, requests)
    log_probability = shifted - tf.math.log(tf.gather(total, rows))
    positives = tf.math.unsorted_segment_sum(tf.minimum(labels, 1.0), rows, requests)
    share = tf.math.divide_no_nan(labels, tf.gather(positives, rows))
    if weights is not None:
        share *= weights
    with_positive = tf.reduce_sum(tf.cast(positives > 0, tf.float32), axis=0)
    return tf.reduce_mean(tf.math.divide_no_nan(-tf.reduce_sum(share * log_probability, axis=0), with_positive))
