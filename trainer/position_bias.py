"""Position bias: how likely a place of the list is looked at, learnt beside the ranker and left out when serving."""

import tensorflow as tf
import tf_keras as keras

from trainer.embedding import Table

PLACES = 100
"""Places that are told apart; all beyond share the last."""


class Examination(keras.layers.Layer):
    """P(action) = P(looked at | position) P(action | looked at), the examination hypothesis (Richardson et al. 2007), learnt jointly.

    As PAL does (Guo et al. 2019, https://dl.acm.org/doi/10.1145/3298689.3347033, eq. 3): training sees the product, serving the second
    factor alone, so that a score doesn't owe anything to where the product happened to stand. Only the product is seen, so the first
    factor has no scale of its own: the first place is looked at for certain, and so is one that isn't known (-1).
    """

    def __init__(self) -> None:
        super().__init__(name="examination", dtype="float32")
        self.of_place = Table("examination", PLACES, 1, dtype="float32")

    def call(self, logits: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
        """Logits [N] of an action once looked at, and positions [N], from 0 -> logits [N] of an action that is seen in the log."""
        looked_at = self.probability(position)
        acted = tf.math.log_sigmoid(logits) + tf.math.log(looked_at)
        # 1 - e s = (1 - e) + e (1 - s), which never cancels.
        return acted - tf.math.log(1 - looked_at + looked_at * tf.sigmoid(-logits) + 1e-12)

    def probability(self, position: tf.Tensor) -> tf.Tensor:
        """How likely each position is looked at, (0, 1]."""
        inside = tf.clip_by_value(position, 0, PLACES - 1)
        return tf.where(position > 0, tf.sigmoid(self.of_place(inside)[..., 0]), 1.0)
