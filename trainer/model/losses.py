"""The halves of the loss, where Keras hasn't got them."""

import tensorflow as tf
import tf_keras as keras


def cross_entropy() -> keras.losses.Loss:
    """Binary cross-entropy of logits, by candidate: what a replica's share of a step is, Keras' own mean wouldn't know."""
    return keras.losses.BinaryCrossentropy(from_logits=True, reduction=keras.losses.Reduction.NONE)


class NonNegativeCrossEntropy(keras.losses.Loss):
    """Binary cross-entropy of logits [N, 1] with targets t [N, 1] that are right in expectation but may each lie above 1.

    mean(t l+) + max(0, mean((1 - t) l-)) with l+ = -log s and l- = -log(1 - s). For targets in [0, 1] it is the cross-entropy as ever. A
    target above 1 has a negative (1 - t) l-, without end where s nears 1, so a network that remembers its actions would drive the sum to
    -infinity. But what (1 - t) estimates, the loss on those that don't attract, isn't below 0: so the estimate over the batch isn't let
    below it either (Kiryo et al. 2017, "Positive-unlabeled learning with non-negative risk estimator").
    """

    def __init__(self) -> None:
        super().__init__(reduction=keras.losses.Reduction.NONE, name="non_negative_cross_entropy")  # `call` has taken the mean

    def call(self, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """The loss of the batch, a scalar."""
        attract = tf.reduce_mean(targets * tf.nn.softplus(-logits))
        dont = tf.reduce_mean((1 - targets) * tf.nn.softplus(logits))
        return attract + tf.nn.relu(dont)


def softmax_cross_entropy(
    labels: tf.Tensor, logits: tf.Tensor, rows: tf.Tensor, requests: tf.Tensor, *, weights: tf.Tensor | None = None
) -> tf.Tensor:
    """Mean over requests with a positive of -sum_i w_i (y_i / n) log softmax(s)_i, n being the number of positives; w is 1 by default.

    ListNet with top-one probabilities (Cao et al. 2007). With y above 1 a positive counts more often: y / e is inverse-propensity weighting
    (Ai et al. 2018, "Unbiased learning to rank with unbiased propensity estimation"); a soft label counts as so much of a positive.

    `labels` and `logits` are flat [N, ...], `rows` [N] ascending names the request of each of `requests`; the mean over what stands
    behind N is taken last. Without any positive the loss is 0.
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
