"""Examination turns the chance of an action once looked at into that of an action in the log."""

import math

import pytest
import tensorflow as tf

from trainer.position_bias import PLACES, Examination


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


@pytest.fixture
def half() -> Examination:
    """Every place but the first is looked at half the time."""
    examination = Examination()
    examination(tf.zeros([1]), tf.constant([0]))
    examination.of_place.table.assign(tf.zeros([PLACES, 1]))
    return examination


def test_the_chance_in_the_log_is_the_product(half):
    seen = half(tf.constant([logit(0.8), logit(0.2)]), tf.constant([3, PLACES + 7]))
    assert seen.numpy() == pytest.approx([logit(0.4), logit(0.1)])


def test_the_first_place_and_an_unknown_one_change_nothing(half):
    assert half(tf.constant([1.5, -2.5]), tf.constant([0, -1])).numpy() == pytest.approx([1.5, -2.5])


def test_extreme_logits_stay_finite_with_a_finite_gradient(half):
    logits = tf.constant([-80.0, 80.0, -80.0, 80.0])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        seen = half(logits, tf.constant([0, 0, 1, 1]))
    assert seen.numpy()[3] == pytest.approx(0, abs=1e-6)
    assert all(math.isfinite(each) for each in [*seen.numpy(), *tape.gradient(seen, logits).numpy()])


def test_it_finds_how_often_each_place_is_looked_at():
    examination = Examination()
    rate = tf.constant([0.4, 0.3, 0.1])  # the product is as attractive everywhere
    attraction = tf.Variable(0.0)
    optimizer = tf.keras.optimizers.legacy.Adam(0.05)
    for _ in range(400):
        with tf.GradientTape() as tape:
            seen = examination(tf.fill([3], tf.convert_to_tensor(attraction)), tf.constant([0, 1, 2]))
            loss = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(rate, seen))
        weights = [attraction, *examination.trainable_variables]
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
    assert tf.sigmoid(attraction).numpy() == pytest.approx(0.4, abs=0.01)
    assert examination.probability(tf.constant([0, 1, 2])).numpy() == pytest.approx([1, 3 / 4, 1 / 4], abs=0.02)
