"""Check cross layers, dense layers and the members of an ensemble."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, logit

from trainer.config import RankerConfig
from trainer.model.dcn import DeepCrossNetwork, mean_logit

INPUTS = tf.random.stateless_normal([6, 5], [1, 2])


def head(actions=1, **settings):
    network = DeepCrossNetwork(RankerConfig(dropout=0.0, dense=(4, 3), **settings), actions=actions)
    return network, network(INPUTS, training=False).numpy()


@pytest.mark.parametrize(("members", "actions"), [(1, 1), (1, 2), (3, 1), (3, 2)])
def test_each_member_has_a_logit_for_each_action(members, actions):
    _, logits = head(actions, members=members)
    assert logits.shape == (6, members, actions)
    assert len(np.unique(logits.round(6))) == logits.size


def test_members_share_every_kernel_but_the_last():
    one, many = head(members=1)[0], head(members=8)[0]
    kernels = {
        weight.name: weight.shape.as_list() for weight in many.trainable_weights if "kernel" in weight.name and "cross" not in weight.name
    }
    assert sorted(kernels.values()) == [[4, 3], [5, 4]]
    extra = sum(4 * units for units in (4, 3)) + 3 + (5 + 1)  # normalisations, last layer, beside the cross layers
    assert many.count_params() - one.count_params() == 7 * extra
    signs = many.dense[0][1].gamma.numpy()
    assert set(signs.tolist()) == {-1.0, 1.0}  # they begin apart
    assert set(one.dense[0][1].gamma.numpy().tolist()) == {1.0}


def test_a_member_is_the_network_that_its_own_weights_make():
    network, logits = head(members=2, cross_layers=0)
    (first, norm, _), (second, other, _) = network.dense

    def normed(layer, values, member, units):
        part = slice(member * units, (member + 1) * units)
        scale, mean, variance = (weight.numpy()[part] for weight in (layer.gamma, layer.moving_mean, layer.moving_variance))
        return np.maximum((values - mean) / np.sqrt(variance + layer.epsilon) * scale + layer.beta.numpy()[part], 0)

    for member in range(2):
        deep = normed(norm, INPUTS.numpy() @ first.kernel.numpy() + first.bias.numpy(), member, 4)
        deep = normed(other, deep @ second.kernel.numpy() + second.bias.numpy(), member, 3)
        beside = INPUTS.numpy() @ network.of_crossed.kernel.numpy() + network.of_crossed.bias.numpy()
        assert logits[:, member, 0] == pytest.approx(deep @ network.of_deep.numpy()[member, :, 0] + beside[:, member], abs=1e-5)


def test_a_full_cross_layer_is_the_papers_equation_and_a_low_rank_one_has_fewer_weights():
    """x0 * (W x + b) + x (Wang et al. 2021, eq. 1), below the dense layers when stacked."""
    network, _ = head(cross_layers=1, cross_rank=None)
    (cross,) = network.cross
    x = INPUTS.numpy()
    kernel, bias = (weight.numpy() for weight in cross.weights)
    assert kernel.shape == (5, 5)
    assert cross(INPUTS, INPUTS).numpy() == pytest.approx(x * (x @ kernel + bias) + x, abs=1e-5)
    low, _ = head(cross_layers=1, cross_rank=1)
    assert low.cross[0].count_params() == 5 + 5 + 5


def test_stacked_dense_layers_read_what_was_crossed():
    tf.random.set_seed(0)
    parallel, stacked = (head(cross_layers=1, cross_form=form)[0] for form in ("parallel", "stacked"))
    for network in (parallel, stacked):
        network.cross[0].set_weights([np.zeros_like(weight) for weight in network.cross[0].get_weights()])
        network.of_crossed.set_weights([np.zeros_like(weight) for weight in network.of_crossed.get_weights()])
    before = [network(INPUTS, training=False).numpy() for network in (parallel, stacked)]
    for network in (parallel, stacked):
        *_, bias = network.cross[0].weights
        bias.assign(bias + 1.0)
    after = [network(INPUTS, training=False).numpy() for network in (parallel, stacked)]
    assert after[0] == pytest.approx(before[0], abs=1e-6)
    assert np.abs(after[1] - before[1]).max() > 0.01


def test_the_ensemble_says_its_members_mean_chance():
    logits = np.array([[[0.0], [2.0]], [[-40.0], [-42.0]], [[90.0], [95.0]]], np.float32)
    logit_of_mean = mean_logit(tf.constant(logits)).numpy()[:, 0]
    assert logit_of_mean[0] == pytest.approx(logit(expit([0, 2]).mean()), abs=1e-6)
    assert logit_of_mean[1] == pytest.approx(-40 + np.log((1 + np.exp(-2)) / 2), abs=1e-4)
    assert logit_of_mean[2] == pytest.approx(90 - np.log((1 + np.exp(-5)) / 2), abs=1e-4)


def test_a_score_weighs_the_actions_probabilities_by_their_weights():
    logit_of_mean = mean_logit(tf.constant([[logit(0.5), logit(0.2)]], tf.float32), (1.0, 3.0)).numpy()[0]
    assert expit(logit_of_mean) == pytest.approx((0.5 + 3 * 0.2) / 4)
    assert mean_logit(tf.constant([[1.5]]), (7.0,)).numpy() == [1.5]
