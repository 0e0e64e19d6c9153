"""Approximate the AUC of the training candidates of an epoch so far, by a histogram of scores; for the progress log."""

import tensorflow as tf
import tf_keras as keras

_LEVELS = 1024


class RunningAuc(keras.metrics.Metric):
    """Compute the AUC of scores binned into 1024 levels of probability; NaN until both classes were seen.

    Counts by level can be summed over replicas. Candidates of one level count as tied: the error against the exact AUC
    is some thousandths at most, as long as scores spread over more than a few levels.
    """

    def __init__(self) -> None:
        super().__init__(name="running_auc")
        self.seen = self.add_weight("seen", [2, _LEVELS], initializer="zeros")

    def update_state(self, labels: tf.Tensor, logits: tf.Tensor) -> None:
        """Add labels and logits, flat [N]; a soft label counts as a fraction of a positive."""
        level = tf.cast(tf.sigmoid(tf.cast(logits, tf.float32)) * (_LEVELS - 1e-3), tf.int32)
        positive = tf.clip_by_value(tf.cast(labels, tf.float32), 0.0, 1.0)
        counts = tf.math.unsorted_segment_sum(tf.stack([1.0 - positive, positive], axis=-1), level, _LEVELS)  # (levels, 2)
        self.seen.assign_add(tf.transpose(counts))

    def reset_state(self) -> None:
        """Set all counts to 0 (Keras' own method assumes scalar metrics)."""
        self.seen.assign(tf.zeros_like(self.seen))

    def result(self) -> tf.Tensor:
        """Return the AUC, a scalar."""
        negative, positive = tf.unstack(tf.cast(self.seen, tf.float64))
        below = tf.cumsum(negative) - negative / 2
        pairs = tf.reduce_sum(negative) * tf.reduce_sum(positive)
        return tf.reduce_sum(positive * below) / pairs
