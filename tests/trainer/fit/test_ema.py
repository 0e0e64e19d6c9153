"""Check moving averages against the formula of the docstring."""

import pytest
import tensorflow as tf

from trainer.fit.ema import MovingAverages


def averaged(decay: float, values: list[float]) -> float:
    weight = tf.Variable(0.0)
    averages = MovingAverages([weight], decay)
    for step, value in enumerate(values, start=1):
        weight.assign(value)
        averages.update(tf.constant(step, tf.int64))
    assert weight.numpy() == values[-1]
    return float(averages.variables[0].numpy())


def test_an_average_begins_at_the_first_steps_weights_and_moves_by_what_is_left_of_the_decay():
    second = 1 / 4 * 8 + 3 / 4 * 4  # d = min(1/4, 3/12)
    assert averaged(0.25, [8.0, 4.0, 0.0]) == pytest.approx(1 / 4 * second)


def test_the_first_steps_are_forgotten_sooner_than_the_decay_says():
    assert averaged(0.999, [12.0, 0.0]) == pytest.approx(12 * 3 / 12)


def test_without_decay_the_last_weights_are_the_average():
    assert averaged(0.0, [8.0, 4.0, 3.0]) == 3.0
