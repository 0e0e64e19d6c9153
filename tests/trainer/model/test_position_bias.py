"""Check that `examination` and `ips` separate attraction from examination."""

import math

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from components.contract.errors import InputError
from trainer.model.losses import NonNegativeCrossEntropy
from trainer.model.position_bias import MAX_WEIGHT, PLACES, Examination, InversePropensity, curve, position_bias


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def known(*propensities: float) -> InversePropensity:
    """Set the first propensities; all positions beyond have the last of them."""
    bias = InversePropensity()
    bias.assign(np.array([*propensities, *[propensities[-1]] * (PLACES - len(propensities))], np.float32))
    return bias


@pytest.fixture
def half() -> Examination:
    """Examine every position but the first half of the time."""
    examination = Examination()
    examination.probability(tf.constant([0]))
    examination.of_place.table.assign(tf.zeros([PLACES, 1]))
    return examination


def test_the_chance_in_the_log_is_the_product(half):
    logits, places = tf.constant([logit(0.8), logit(0.2)]), tf.constant([3, PLACES + 7])
    for bias in (half, known(1, 1 / 2)):
        assert bias.logged(logits, places).numpy() == pytest.approx([logit(0.4), logit(0.1)])


def test_examination_holds_the_labels_against_the_chance_in_the_log(half):
    labels, logits = half(tf.constant([1.0, 0.0]), tf.constant([logit(0.8), logit(0.2)]), tf.constant([3, 3]))
    assert (labels.numpy().tolist(), logits.numpy()) == ([1, 0], pytest.approx([logit(0.4), logit(0.1)]))


@pytest.mark.parametrize("kind", ["none", "examination", "ips"])
def test_the_first_place_and_an_unknown_one_change_nothing(kind):
    bias = position_bias(kind)
    if kind == "ips":
        bias = known(1, 1 / 5)
    logits = tf.constant([1.5, -2.5])
    targets, compared = bias(tf.constant([1.0, 1.0]), logits, tf.constant([0, -1]))
    assert targets.numpy().tolist() == [1, 1]
    assert compared.numpy() == pytest.approx([1.5, -2.5])
    assert bias.logged(logits, tf.constant([0, -1])).numpy() == pytest.approx([1.5, -2.5])


def test_extreme_logits_stay_finite_with_a_finite_gradient(half):
    logits = tf.constant([-80.0, 80.0, -80.0, 80.0])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        seen = half.logged(logits, tf.constant([0, 0, 1, 1]))
    assert seen.numpy()[3] == pytest.approx(0, abs=1e-6)
    assert all(math.isfinite(each) for each in [*seen.numpy(), *tape.gradient(seen, logits).numpy()])


def test_it_finds_how_often_each_place_is_looked_at():
    examination = Examination()
    rate = tf.constant([0.4, 0.3, 0.1])  # the product is as attractive everywhere
    attraction = tf.Variable(0.0)
    optimizer = tf.keras.optimizers.legacy.Adam(0.01)
    for _ in range(800):
        with tf.GradientTape() as tape:
            seen = examination.logged(tf.fill([3], tf.convert_to_tensor(attraction)), tf.constant([0, 1, 2]))
            loss = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(rate, seen))
        weights = [attraction, *examination.trainable_variables]
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
    assert tf.sigmoid(attraction).numpy() == pytest.approx(0.4, abs=0.01)
    assert curve(examination)[:3] == pytest.approx([1, 3 / 4, 1 / 4], abs=0.02)


def test_an_action_weighs_the_inverse_of_how_often_its_place_is_looked_at_up_to_the_clip():
    targets, logits = known(1, 1 / 2, 1 / 4, 1 / 50)(tf.constant([1.0, 1.0, 1.0, 0.0, 1.0]), tf.zeros(5), tf.constant([0, 1, 2, 2, 3]))
    assert targets.numpy().tolist() == [1, 2, 4, 0, MAX_WEIGHT]
    assert logits.numpy().tolist() == [0] * 5


def test_the_expected_loss_over_clicks_is_the_loss_on_relevance():
    """Two candidates, s = 3/4 and 1/4, at a position with e = 1/2; r is the label if all examined it."""
    logits = tf.constant([logit(3 / 4), logit(1 / 4)])
    relevance = (2 / 3, 1 / 3)
    bias = known(1, 1 / 2)
    expected = 0.0
    for clicks in ((0, 0), (0, 1), (1, 0), (1, 1)):
        chance = math.prod(r / 2 if click else 1 - r / 2 for r, click in zip(relevance, clicks, strict=True))
        targets, compared = bias(tf.constant(clicks, tf.float32), logits, tf.constant([1, 1]))
        # Cross-entropy is linear in its target: with both clicked the part in (1 - t) is below 0, so what is averaged
        # is without its floor.
        expected += chance * float(tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(targets, compared)))
    by_hand = (2 / 3 * math.log(4 / 3) + 1 / 3 * math.log(4) + 1 / 3 * math.log(4) + 2 / 3 * math.log(4 / 3)) / 2
    assert expected == pytest.approx(by_hand, rel=1e-6)


def test_over_a_batch_that_shows_what_is_expected_the_loss_is_that_on_relevance():
    """Twelve impressions of one product, s = 3/4, at a position with e = 1/2; a third is clicked, so r = 2/3."""
    targets, logits = known(1, 1 / 2)(tf.constant([1.0] * 4 + [0.0] * 8), tf.fill([12], logit(3 / 4)), tf.ones([12], tf.int64))
    loss = float(NonNegativeCrossEntropy()(targets[:, None], logits[:, None]))
    assert loss == pytest.approx(2 / 3 * math.log(4 / 3) + 1 / 3 * math.log(4), rel=1e-6)


def test_with_targets_of_0_and_1_the_loss_is_binary_cross_entropy():
    labels, logits = tf.constant([[1.0], [0.0], [0.0]]), tf.constant([[0.3], [-1.2], [2.0]])
    usual = keras.losses.BinaryCrossentropy(from_logits=True)(labels, logits)
    assert float(NonNegativeCrossEntropy()(labels, logits)) == pytest.approx(float(usual), rel=1e-6)


def test_a_network_that_remembers_its_clicks_can_not_drive_the_loss_below_0():
    targets = known(1, 1 / 5)(tf.constant([1.0, 0.0]), tf.zeros(2), tf.constant([1, 1]))[0][:, None]
    sure = tf.constant([[60.0], [-60.0]])
    assert float(tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(targets, sure))) < -100  # what is kept from happening
    assert float(NonNegativeCrossEntropy()(targets, sure)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("wrong", [0.0, -0.5, 1.5, math.nan])
def test_an_impossible_propensity_is_refused(wrong):
    with pytest.raises(InputError, match=f"above 0 and at most 1 for each of {PLACES} places"):
        known(1, wrong)
