"""Run one training step: gradients over all replicas, clipping, weight decay, optimizer, moving averages."""

from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras
from numpy.typing import NDArray

from trainer.config import RankerConfig
from trainer.data.input_pipeline import Batch
from trainer.fit.determinism import random_states
from trainer.fit.ema import MovingAverages
from trainer.fit.learning_rate import Schedule
from trainer.model.ranker import Ranker


def optimizer(config: RankerConfig, rate: float | Schedule) -> Any:
    """Return Adam, for float16 with a loss scale that rises until gradients overflow and is halved when they do.

    Keras' legacy Adam updates a variable by one fused operation, the newer one by about twenty: that is a fifth of a
    step's time, and seconds of tracing.
    """
    adam = keras.optimizers.legacy.Adam(rate)
    return keras.mixed_precision.LossScaleOptimizer(adam) if config.precision == "mixed_float16" else adam


def decayed(weights: Sequence[tf.Variable]) -> list[tf.Variable]:
    """Return the weights subject to weight decay: kernels of layers, no biases, no normalisation, no embeddings.

    Decay in each step, whether a batch has an id or not, would wipe out the embeddings of rare ids; for them there is
    `embedding_l2`.
    """
    return [weight for weight in weights if len(weight.shape) >= 2 and "embeddings" not in weight.name.rsplit("/", 1)[-1]]


class TrainStep:
    """Run a training step of a built model, as one graph, on every replica of the strategy in scope.

    A replica's loss is the mean over its batch, and the step's gradient the mean over replicas; that mean is what is
    clipped.

    With weight decay the step is AdamW's (Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101, algorithm 2,
    the decay times the learning rate): w <- w - rate (decay w + Adam's direction), both from the w before the step.

    Args:
        model: with all its variables.
        config: `clip_norm`, `weight_decay`, `averaging`.
        rate: the learning rate or its schedule.
    """

    def __init__(self, model: Ranker, *, config: RankerConfig, rate: float | Schedule) -> None:
        self.model, self.optimizer, self._config, self._rate = model, optimizer(config, rate), config, rate
        self.strategy = tf.distribute.get_strategy()
        self.averages = MovingAverages(model.trainable_variables, config.averaging)
        self._decayed = decayed(model.trainable_variables) if config.weight_decay else []
        # With its slots: a checkpoint is restored before the first step.
        self.optimizer._create_all_weights(model.trainable_variables)
        self._run = tf.function(self._run_replicas, reduce_retracing=True, autograph=False)

    def __call__(self, batches: Iterator[Batch]) -> None:
        """Train on the next batch of each replica.

        Raises:
            tf.errors.OutOfRangeError, StopIteration: there is none, and nothing has changed.
        """
        self._run(batches)

    def averaged_weights(self) -> list[NDArray[Any]]:
        """Return the values of the model's variables, with the moving averages in place of the trainable ones."""
        weights = self.model.trainable_variables
        averages = {id(weight): average for weight, average in zip(weights, self.averages.variables, strict=True)}
        return [averages.get(id(variable), variable).numpy() for variable in self.model.variables]

    def state(self) -> dict[str, list[tf.Variable]]:
        """Return all variables that a step changes, by group."""
        return {
            "model": self.model.variables,
            "metrics": [variable for metric in self.model.metrics for variable in metric.variables],
            "optimizer": self._optimizer_variables(),
            "averages": self.averages.variables,
            "random": random_states(self.model),
        }

    def _optimizer_variables(self) -> list[tf.Variable]:
        """Return the optimizer's step, moments and loss scale."""
        scale = getattr(self.optimizer, "_loss_scale", None)
        scaling = [] if scale is None else [scale.current_loss_scale, scale.counter]
        known = {id(each) for each in scaling}
        return [*scaling, *(each for each in self.optimizer.variables() if id(each) not in known)]

    @property
    def learning_rate(self) -> float:
        """Return the rate of the next step."""
        return float(self._current_rate())

    def _current_rate(self) -> tf.Tensor:
        return tf.convert_to_tensor(self._rate(self.optimizer.iterations) if isinstance(self._rate, Schedule) else self._rate)

    def _run_replicas(self, batches: Iterator[Batch]) -> None:
        with self.strategy.scope():
            self.strategy.run(self._run_replica, args=(next(batches),))
            self.averages.update(self.optimizer.iterations)

    def _run_replica(self, batch: Batch) -> None:
        # Random generators advance only if there is a batch. Without this dependency the end of an epoch might advance
        # them, or might not.
        with tf.control_dependencies([batch[1].flat_values]):
            self._learn(batch)

    def _learn(self, batch: Batch) -> None:
        scaled = isinstance(self.optimizer, keras.mixed_precision.LossScaleOptimizer)
        weights, replicas = self.model.trainable_variables, self.strategy.num_replicas_in_sync
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
