"""AUC of the training candidates so far in an epoch: for the line of progress, at next to no cost."""

import tensorflow as tf
import tf_keras as keras

_LEVELS = 1024


class RunningAuc(keras.metrics.Metric):
    """AUC of scores in 1024 levels of their probability, ties counting one half; NaN until both classes were seen.

    Sums over levels can be added over replicas. Candidates of one level count as tied: against the exact AUC that is some thousandths at
    most, while scores spread over more than a few levels.
    """

    def __init__(self) -> None:
        super().__init__(name="running_auc")
        self.seen = self.add_weight("seen", [2, _LEVELS], initializer="zeros")

    def update_state(self, labels: tf.Tensor, logits: tf.Tensor) -> None:
        """Labels and logits, flat [N]; a soft label counts as so much of a positive."""
        level = tf.cast(tf.sigmoid(tf.cast(logits, tf.float32)) * (_LEVELS - 1e-3), tf.int32)
        positive = tf.clip_by_value(tf.cast(labels, tf.float32), 0.0, 1.0)
        counts = tf.math.unsorted_segment_sum(tf.stack([1.0 - positive, positive], axis=-1), level, _LEVELS)  # (levels, 2)
        self.seen.assign_add(tf.transpose(counts))

    def reset_state(self) -> None:
        """Forget all (Keras' own way takes metrics for scalars)."""
        self.seen.assign(tf.zeros_like(self.seen))

    def result(self) -> tf.Tensor:
        """A scalar."""
        negative, positive = tf.unstack(tf.cast(self.seen, tf.float64))
        below = tf.cumsum(negative) - negative / 2
        pairs = tf.reduce_sum(negative) * tf.reduce_sum(positive)
        return tf.reduce_sum(positive * below) / pairs
