"""Check the maps of `trainer.model.calibration` against known probabilities."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from trainer.model.calibration import KNOTS, Calibration, isotonic, platt


@pytest.fixture
def drawn():
    """Draw logits with twice the slope and an offset of 1, and labels."""
    random = np.random.default_rng(0)
    true = random.normal(-1, 1, 100_000)
    return 2 * true + 1, (random.random(len(true)) < expit(true)).astype(np.float64), true


def test_an_unfitted_map_changes_nothing():
    logits = tf.constant([[-30.0, 2.0], [0.0, -0.0], [1e-3, 40.0]])
    assert Calibration(2)(logits).numpy() == pytest.approx(logits.numpy(), rel=1e-6)


def test_platt_scaling_is_a_logistic_regression(drawn):
    logits, labels, _ = drawn
    slope, offset = platt(logits, labels)
    other = LogisticRegression(C=np.inf, solver="newton-cholesky").fit(logits[:, None], labels)
    assert (slope, offset) == pytest.approx((other.coef_[0, 0], other.intercept_[0]), abs=1e-3)
    assert (slope, offset) == pytest.approx((0.5, -0.5), abs=0.02)


@pytest.mark.parametrize("form", ["platt", "isotonic"])
def test_a_fitted_map_finds_the_chances_and_keeps_the_order(drawn, form):
    logits, labels, true = drawn
    layer = Calibration(1)
    layer.fit(logits[:, None], labels[:, None], form)
    calibrated = layer(tf.constant(logits[:, None], tf.float32)).numpy()[:, 0]
    assert np.abs(expit(calibrated) - expit(true)).mean() < 0.01 < 0.1 < np.abs(expit(logits) - expit(true)).mean()
    steps = np.diff(layer(tf.constant(np.linspace(-12, 12, 2001)[:, None], tf.float32)).numpy()[:, 0])
    assert (steps > 0).all()


def test_isotonic_knots_are_the_steps_of_pooled_groups():
    """By hand, a group for each: shares 0, 1, 0 pool the last two to 1/2; with half a case more on either side (0.5 /
    2), (1.5 / 3).
    """
    knots, calibrated = isotonic(np.array([-1.0, 0, 2]), np.array([0.0, 1, 0]))
    assert knots == pytest.approx([-1, 1])
    assert calibrated == pytest.approx([logit(1 / 4), logit(1 / 2) + 1e-3])


def test_each_action_has_a_map_of_its_own(drawn):
    logits, labels, _ = drawn
    layer = Calibration(2)
    layer.fit(np.stack([logits, logits], axis=1), np.stack([labels, np.zeros_like(labels)], axis=1), "platt")
    calibrated = layer(tf.constant([[1.0, 1.0]])).numpy()[0]
    assert calibrated == pytest.approx([0, 1], abs=0.05)  # what never happens has nothing to be fitted to


def test_scores_that_know_nothing_are_left_alone():
    random = np.random.default_rng(1)
    logits = random.normal(size=(5_000, 1))
    layer = Calibration(1)
    layer.fit(logits, (random.random(logits.shape) < expit(-logits)).astype(np.float64), "isotonic")
    assert layer(tf.constant(logits, tf.float32)).numpy() == pytest.approx(logits, abs=1e-6)


def test_few_cases_have_few_knots():
    knots, _ = isotonic(np.arange(5.0), np.array([0.0, 0, 1, 0, 1]))
    assert len(knots) <= 5 < KNOTS
