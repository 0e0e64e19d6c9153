"""Averaged weights follow the formula of the docstring, stand in for the weights while asked, and go again."""

import pytest
import tensorflow as tf
import tf_keras as keras

from trainer.averages import Averages


@pytest.fixture
def model() -> keras.Model:
    model = keras.Sequential([keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.build([None, 1])
    return model


def step_to(model: keras.Model, averages: Averages, value: float) -> None:
    model.layers[0].kernel.assign([[value]])
    averages.on_train_batch_end(0)


def test_an_average_begins_at_the_first_steps_weights_and_moves_by_what_is_left_of_the_decay(model):
    averages = Averages(0.25)
    averages.set_model(model)
    step_to(model, averages, 8.0)
    step_to(model, averages, 4.0)
    step_to(model, averages, 0.0)
    second = 1 / 4 * 8 + 3 / 4 * 4  # d = min(1/4, 3/12)
    with averages.in_place():
        assert model.layers[0].kernel.numpy() == pytest.approx(1 / 4 * second)


def test_the_first_steps_are_forgotten_sooner_than_the_decay_says(model):
    averages = Averages(0.999)
    averages.set_model(model)
    step_to(model, averages, 12.0)
    step_to(model, averages, 0.0)
    with averages.in_place():
        assert model.layers[0].kernel.numpy() == pytest.approx(12 * 3 / 12)


def test_the_steps_own_weights_are_back_afterwards_even_after_an_error(model):
    averages = Averages(0.9)
    averages.set_model(model)
    step_to(model, averages, 1.0)
    step_to(model, averages, 5.0)
    with pytest.raises(ZeroDivisionError), averages.in_place():
        raise ZeroDivisionError
    assert model.layers[0].kernel.numpy() == pytest.approx(tf.constant([[5.0]]).numpy())
