"""Check the learning rate over the steps, by hand."""

import math

import pytest
import tensorflow as tf

from trainer.config import RankerConfig
from trainer.fit.learning_rate import learning_rate, needs_length


def rates(steps: list[int], *, length: int = 0, **settings: object) -> list[float]:
    rate = learning_rate(RankerConfig(learning_rate=0.8, **settings), length)
    return [float(rate(tf.constant(step, tf.int64))) for step in steps]


def test_a_constant_rate_is_a_number():
    assert learning_rate(RankerConfig(learning_rate=0.8), 0) == 0.8


def test_a_warm_up_rises_in_even_steps_and_then_stays():
    assert rates([0, 1, 2, 3, 100], warmup_steps=3) == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8])


def test_a_linear_fall_ends_at_0_and_stays_there():
    options = {"schedule": "linear", "warmup_steps": 1, "decay_steps": 4}
    assert rates([0, 1, 2, 3, 5, 9], **options) == pytest.approx([0.4, 0.8, 0.6, 0.4, 0, 0], abs=1e-7)


def test_a_cosine_is_half_way_down_in_the_middle():
    quarter = 0.8 * (1 + math.cos(math.pi / 4)) / 2
    assert rates([0, 2, 4, 8, 9], schedule="cosine", decay_steps=8) == pytest.approx([0.8, quarter, 0.4, 0, 0], abs=1e-7)


def test_without_its_own_length_the_fall_ends_with_the_last_epoch():
    assert rates([0, 2, 7, 12], schedule="linear", warmup_steps=2, length=12) == pytest.approx([0.8 / 3, 0.8, 0.4, 0], abs=1e-7)
    assert [needs_length(RankerConfig(schedule="linear", decay_steps=each)) for each in (None, 5)] == [True, False]
    assert not needs_length(RankerConfig(warmup_steps=5))
