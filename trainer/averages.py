"""Weights averaged over the last steps: what is judged and kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
import tf_keras as keras


class Averages(keras.callbacks.Callback):
    """Exponential moving averages of the trainable weights (Polyak and Juditsky 1992).

    Steps of constant size end near an optimum and not in it; their average does what a falling learning rate would, without having to know
    when training ends. After step n an average is a <- d a + (1 - d) w with d = min(decay, (1 + n) / (10 + n)), so that the first steps,
    far from anywhere, are soon forgotten.

    Args:
        decay: what is kept of an average in a step, [0, 1).
    """

    def __init__(self, decay: float) -> None:
        super().__init__()
        self._decay = decay
        self._averages: list[tf.Variable] = []
        self._step = tf.Variable(0.0)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Take the step's weights in."""
        if not self._averages:
            self._averages = [tf.Variable(weight) for weight in self.model.trainable_variables]
            self._take_in = tf.function(self._updated)
        self._take_in()

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """For the time being the model has the averages for weights."""
        weights = self.model.trainable_variables
        current = [weight.numpy() for weight in weights]
        for weight, average in zip(weights, self._averages, strict=True):
            weight.assign(average)
        try:
            yield
        finally:
            for weight, value in zip(weights, current, strict=True):
                weight.assign(value)

    def _updated(self) -> None:
        self._step.assign_add(1.0)
        kept = tf.minimum(self._decay, (1.0 + self._step) / (10.0 + self._step))
        for average, weight in zip(self._averages, self.model.trainable_variables, strict=True):
            average.assign_sub((1.0 - kept) * (average - weight))
