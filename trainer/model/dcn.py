"""Map a candidate's inputs to logits by a deep and cross network, with a weight-sharing ensemble as an option."""

from typing import Any

import tensorflow as tf
import tensorflow_recommenders as tfrs
import tf_keras as keras

from trainer.config import RankerConfig

_BATCH_NORM_MOMENTUM = 0.95  # a first epoch may have no more than some tens of steps


class DeepCrossNetwork(keras.layers.Layer):
    """Compute logits by DCN-v2 (Wang et al. 2021, https://arxiv.org/abs/2008.13535), its dense part an ensemble of K.

    Cross layers are in parallel to the dense ones or below them (its figure 1: parallel, stacked). The members share
    all kernels, as in BatchEnsemble (Wen et al. 2020) and TabM (Gorishniy et al. 2025,
    https://arxiv.org/abs/2410.24210); each has its own scale and offset of every hidden unit, those of the
    normalisation, and its own last layer. The scales of the first layer begin as random signs, so that the members
    differ from the start; the first and widest product is computed once for all of them.

    Args:
        config: sizes.
        actions: number of actions, each with a logit of its own.
    """

    def __init__(self, config: RankerConfig, *, actions: int) -> None:
        super().__init__(name="head")
        self.members, self.actions, self.stacked = config.members, actions, config.cross_form == "stacked"
        self.kernels: dict[str, Any] = {"kernel_regularizer": keras.regularizers.L2(config.l2)}
        self.cross = [
            tfrs.layers.dcn.Cross(projection_dim=config.cross_rank, name=f"cross_{at}", **self.kernels) for at in range(config.cross_layers)
        ]
        self.dense = [
            (
                keras.layers.Dense(units, **self.kernels),
                keras.layers.BatchNormalization(
                    momentum=_BATCH_NORM_MOMENTUM, gamma_initializer=_signs if at == 0 and self.members > 1 else "ones"
                ),
                keras.layers.Dropout(config.dropout),
            )
            for at, units in enumerate(config.dense)
        ]
        # Logits are float32, whatever the layers before compute in.
        self.of_crossed = keras.layers.Dense(self.members * actions, name="of_crossed", dtype="float32", **self.kernels)

    def build(self, inputs: tf.TensorShape) -> None:
        """Create the members' last layers."""
        width = self.dense[-1][0].units if self.dense else inputs[-1]
        self.of_deep = self.add_weight(
            "of_deep",
            [self.members, width, self.actions],
            initializer=keras.initializers.VarianceScaling(mode="fan_avg", distribution="uniform"),
            regularizer=self.kernels["kernel_regularizer"],
        )

    def call(self, inputs: tf.Tensor, training: bool) -> tf.Tensor:
        """Map inputs [N, D] to logits [N, K, A]."""
        crossed = inputs
        for cross in self.cross:
            crossed = cross(inputs, crossed)
        deep = (crossed if self.stacked else inputs)[:, None]  # (candidates, 1 for all members, units)
        for dense, normalise, dropout in self.dense:
            hidden = dense(deep)
            if hidden.shape[1] < self.members:
                hidden = tf.repeat(hidden, self.members, axis=1)
            flat = tf.reshape(hidden, [-1, self.members * dense.units])  # normalised by each member's own statistics
            flat = dropout(tf.nn.relu(normalise(flat, training=training)), training=training)
            deep = tf.reshape(flat, [-1, self.members, dense.units])
        logits = tf.einsum("nku,kua->nka", tf.broadcast_to(deep, [tf.shape(deep)[0], self.members, deep.shape[2]]), self.of_deep)
        return tf.cast(logits, tf.float32) + tf.reshape(self.of_crossed(crossed), [-1, self.members, self.actions])


def mean_logit(logits: tf.Tensor, weights: tuple[float, ...] | None = None) -> tf.Tensor:
    """Return the logit of the (weighted) mean probability over axis 1, exactly; [N, K, ...] to [N, ...]."""
    if logits.shape[1] == 1:
        return logits[:, 0]
    log_weights = 0.0 if weights is None else tf.math.log(tf.constant(weights))
    positive, negative = (tf.reduce_logsumexp(tf.math.log_sigmoid(each) + log_weights, axis=1) for each in (logits, -logits))
    return positive - negative


def _signs(shape: tf.TensorShape, dtype: Any = None, **_: Any) -> tf.Tensor:
    drawn = keras.initializers.RandomUniform(-1, 1)(shape, dtype=dtype)
    return tf.where(drawn < 0, -tf.ones_like(drawn), tf.ones_like(drawn))
