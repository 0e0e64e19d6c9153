"""Compute the learning rate of each training step: warm-up, then constant, linear or cosine decay."""

import math

import tensorflow as tf
import tf_keras as keras

from trainer.config import RankerConfig


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Raise the rate linearly over the warm-up, then keep it or lower it to 0.

    At step n, from 0, of w warm-up steps and d steps after them:

        n < w       peak (n + 1) / (w + 1) constant    peak linear      peak (1 - t), t = min((n - w) / d, 1) cosine
        peak (1 + cos(pi t)) / 2 (Loshchilov and Hutter 2017, https://arxiv.org/abs/1608.03983, eq. 5, without restarts)

    Args:
        config: `learning_rate` is the peak.
        decay_steps: d.
    """

    def __init__(self, config: RankerConfig, decay_steps: int) -> None:
        self._config, self._decay_steps = config, decay_steps

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Return the rate of a step, a scalar."""
        step = tf.cast(step, tf.float32)
        warm = float(self._config.warmup_steps)
        done = tf.clip_by_value((step - warm) / self._decay_steps, 0.0, 1.0)
        after = {"constant": tf.ones([]), "linear": 1.0 - done, "cosine": (1.0 + tf.cos(math.pi * done)) / 2.0}[self._config.schedule]
        return self._config.learning_rate * tf.where(step < warm, (step + 1.0) / (warm + 1.0), after)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {"config": self._config, "decay_steps": self._decay_steps}


def needs_length(config: RankerConfig) -> bool:
    """Return whether the rate depends on the number of steps of all epochs."""
    return config.schedule != "constant" and config.decay_steps is None


def learning_rate(config: RankerConfig, steps: int) -> float | Schedule:
    """Return the optimizer's rate, a number if constant; `steps` of all epochs matter if `needs_length`."""
    if config.schedule == "constant" and not config.warmup_steps:
        return config.learning_rate
    return Schedule(config, config.decay_steps or max(steps - config.warmup_steps, 1))
