"""Keep exponential moving averages of the weights, which are what is evaluated and exported."""

from collections.abc import Sequence

import tensorflow as tf


class MovingAverages:
    """Keep an exponential moving average of each trainable weight (Polyak and Juditsky 1992).

    Steps of constant size end near an optimum and not in it; their average does what a falling learning rate would,
    without having to know when training ends. After step n, from 1, an average is a <- d a + (1 - d) w with d =
    min(decay, (1 + n) / (10 + n)), so that the first steps, far from any optimum, soon lose their weight; in the first
    one d = 0.

    Args:
        weights: the trainable weights.
        decay: weight of the old average in a step, [0, 1).
    """

    def __init__(self, weights: Sequence[tf.Variable], decay: float) -> None:
        self._decay = decay
        self._weights = list(weights)
        self.variables = [tf.Variable(weight, trainable=False) for weight in self._weights]

    def update(self, step: tf.Tensor) -> None:
        """Update the averages by the weights after `step`, from 1; in a strategy's cross-replica context."""
        step = tf.cast(step, tf.float32)
        decay = tf.where(step > 1.0, tf.minimum(self._decay, (1.0 + step) / (10.0 + step)), 0.0)
        # Each device averages its own copy of a weight, so that nothing is sent.
        for average, weight in zip(self.variables, self._weights, strict=True):
            tf.distribute.get_strategy().extended.update(average, _move, args=(weight, decay))


def _move(average: tf.Variable, weight: tf.Variable, decay: tf.Tensor) -> None:
    average.assign_sub((1.0 - decay) * (average - weight))
