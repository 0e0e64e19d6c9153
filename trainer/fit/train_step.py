"""One step of training: gradients over all replicas, their clipping, weight decay, the optimizer, the averages."""

from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from trainer.config import RankerConfig
from trainer.data.input_pipeline import Batch
from trainer.fit.ema import Averages
from trainer.fit.learning_rate import Schedule
from trainer.model.ranker import Ranker


def optimizer(config: RankerConfig, rate: float | Schedule) -> Any:
    """Adam; in float16 behind a loss scale that rises until gradients overflow and is halved when they do.

    The older Adam updates a variable by one fused operation, the newer one by about twenty: a fifth of a step and seconds of tracing.
    """
    adam = keras.optimizers.legacy.Adam(rate)
    return keras.mixed_precision.LossScaleOptimizer(adam) if config.precision == "mixed_float16" else adam


def decayed(weights: Sequence[tf.Variable]) -> list[tf.Variable]:
    """The weights that weight decay shrinks: matrices of layers, and none of biases, normalisation, embeddings.

    Decay in each step, whether a batch has an id or not, would wipe out the embeddings of rare ids; for them there is `embedding_l2`.
    """
    return [weight for weight in weights if len(weight.shape) >= 2 and "embeddings" not in weight.name.rsplit("/", 1)[-1]]


class Step:
    """A training step of a built model, as one graph, on every replica of the strategy in scope.

    A replica's loss is the mean over its batch, and the step's gradient the mean over replicas; clipping sees that mean, not the parts.

    With weight decay the step is AdamW's (Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101, algorithm 2, the decay times the
    learning rate): w <- w - rate (decay w + Adam's direction), both from the w before the step.

    Args:
        model: its weights are there.
        config: `clip_norm`, `weight_decay`, `averaging`.
        rate: the learning rate or its schedule.
    """

    def __init__(self, model: Ranker, *, config: RankerConfig, rate: float | Schedule) -> None:
        self.model, self.optimizer, self._config, self._rate = model, optimizer(config, rate), config, rate
        self._strategy = tf.distribute.get_strategy()
        self.averages = Averages(model.trainable_variables, config.averaging)
        self._decayed = decayed(model.trainable_variables) if config.weight_decay else []
        # Its slots too: a checkpoint is read before the first step.
        self.optimizer._create_all_weights(model.trainable_variables)
        self._run = tf.function(self._on_all, reduce_retracing=True)

    def __call__(self, batches: Iterator[Batch]) -> None:
        """Take the next batch of each replica.

        Raises:
            tf.errors.OutOfRangeError, StopIteration: there is none, and nothing has changed.
        """
        self._run(batches)

    @property
    def variables(self) -> list[tf.Variable]:
        """Those of the optimizer: its step, its moments, its loss scale."""
        scale = getattr(self.optimizer, "_loss_scale", None)
        scaling = [] if scale is None else [scale.current_loss_scale, scale.counter]
        known = {id(each) for each in scaling}
        return [*scaling, *(each for each in self.optimizer.variables() if id(each) not in known)]

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        return float(self._current_rate())

    def _current_rate(self) -> tf.Tensor:
        return tf.convert_to_tensor(self._rate(self.optimizer.iterations) if isinstance(self._rate, Schedule) else self._rate)

    def _on_all(self, batches: Iterator[Batch]) -> None:
        with self._strategy.scope():
            self._strategy.run(self._on_one, args=(next(batches),))
            self.averages.take_in(self.optimizer.iterations)

    def _on_one(self, batch: Batch) -> None:
        # Random generators move on only if there is a batch: nothing else ties them to it, and the end of an epoch would move them or not.
        with tf.control_dependencies([batch[1].flat_values]):
            self._learn(batch)

    def _learn(self, batch: Batch) -> None:
        scaled = isinstance(self.optimizer, keras.mixed_precision.LossScaleOptimizer)
        weights, replicas = self.model.trainable_variables, self._strategy.num_replicas_in_sync
        with tf.GradientTape() as tape:
            loss = self.model.compute_loss(batch, training=True)
            total = (loss + tf.add_n([tf.cast(tf.reduce_sum(each), tf.float32) for each in (*self.model.losses, 0.0)])) / replicas
            target = self.optimizer.get_scaled_loss(total) if scaled else total
        gradients = tape.gradient(target, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        if scaled:
            gradients = self.optimizer.get_unscaled_gradients(gradients)
        replica = tf.distribute.get_replica_context()
        if replicas > 1:
            gradients = replica.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        if self._config.clip_norm is not None:
            gradients, _ = tf.clip_by_global_norm(gradients, self._config.clip_norm)
        if self._decayed:
            replica.merge_call(self._decay)
        self.optimizer.apply_gradients(zip(gradients, weights, strict=True), experimental_aggregate_gradients=False)

    def _decay(self, strategy: tf.distribute.Strategy) -> None:
        kept = 1.0 - self._config.weight_decay * self._current_rate()
        for weight in self._decayed:
            strategy.extended.update(weight, lambda each, share: each.assign(each * share), args=(kept,))
