import math

import numpy as np
import pytest
import tensorflow as tf

from trainer.fit.auc import auc
from trainer.model.attention import ActivationUnit, DotProduct, SelfAttention
from trainer.model.candidate_blocks import SIZE, in_blocks
from trainer.model.embedding import Table
from trainer.model.history_match import HistoryMatch
from trainer.model.losses import softmax_cross_entropy


def test_auc_is_the_share_of_ordered_pairs_with_ties_as_halves():
    assert auc([1, 0, 1, 0], [0.9, 0.1, 0.4, 0.4]) == 3.5 / 4
    assert auc([0, 1], [2, 1]) == 0
    assert math.isnan(auc([1, 1], [1, 2]))


def test_softmax_cross_entropy_is_the_mean_over_requests_with_a_positive():
    labels, logits = tf.constant([1.0, 0, 0, 0, 1, 1]), tf.math.log([1.0, 3, 5, 5, 1, 4])
    # Requests: (1, 0), (0, 0) without a positive, (1, 1).
    loss = softmax_cross_entropy(labels, logits, tf.constant([0, 0, 1, 1, 2, 2]), 3)
    assert float(loss) == pytest.approx((-math.log(1 / 4) - (math.log(1 / 5) + math.log(4 / 5)) / 2) / 2)
    assert float(softmax_cross_entropy(tf.zeros(2), tf.ones(2), tf.constant([0, 1]), 2)) == 0


def test_a_positive_of_twice_the_weight_counts_twice_in_the_softmax_cross_entropy():
    labels, logits = tf.constant([1.0, 0, 1, 1]), tf.math.log([1.0, 3, 1, 4])
    loss = softmax_cross_entropy(labels, logits, tf.constant([0, 0, 1, 1]), 2, weights=tf.constant([2.0, 9, 1, 0]))
    assert float(loss) == pytest.approx((-2 * math.log(1 / 4) - (math.log(1 / 5) + 0) / 2) / 2)


def test_softmax_cross_entropy_stays_finite_for_large_logits():
    loss = softmax_cross_entropy(tf.constant([1.0, 0]), tf.constant([0.0, 1e4]), tf.constant([0, 0]), 1)
    assert float(loss) == pytest.approx(1e4)


def test_a_table_has_the_gradient_of_a_lookup_and_sums_over_bags_by_the_root_of_their_size():
    table = Table("t", 3, 1)
    ids = tf.constant([2, 0, 2])
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(table(ids) * [[1.0], [10.0], [100.0]])
    assert tape.gradient(total, table.table).numpy().tolist() == [[10], [0], [101]]
    table.table.assign([[1.0], [3], [5]])
    bags = table.bag(tf.ragged.constant([[0, 2], [], [1], []], tf.int64)).numpy()[:, 0]
    assert bags == pytest.approx([6 / math.sqrt(2), 0, 3, 0])


def test_candidates_go_into_blocks_of_one_request_and_come_back():
    lengths = [SIZE + 1, 0, 2, SIZE]
    blocks = in_blocks(tf.constant(lengths))
    assert blocks.request.numpy().tolist() == [0, 0, 2, 3]
    candidates = tf.random.stateless_normal([sum(lengths), 3], [0, 0])
    spread = blocks.scatter(candidates)
    assert spread.shape == (4, SIZE, 3)
    assert spread[1, 0].numpy().tolist() == candidates[SIZE].numpy().tolist()
    assert not spread[1, 1:].numpy().any()
    assert blocks.gather(spread).numpy().tolist() == candidates.numpy().tolist()


def test_attention_equals_the_activation_unit_of_the_paper():
    attention = ActivationUnit(units=3, heads=2)
    random = np.random.default_rng(0)
    candidates, events = random.normal(size=(SIZE + 3, 4)).astype("f"), random.normal(size=(2, 5, 4)).astype("f")
    lengths, rows = [5, 2], [0] * (SIZE + 2) + [1]
    got = attention(tf.constant(candidates), tf.constant(events), tf.constant(lengths), in_blocks(tf.constant([SIZE + 2, 1]))).numpy()
    # [h, c, h - c, h * c] with W3 = 0: the sums W1 + W3 and W2 - W3 are what the layer learns.
    first = np.concatenate([attention.of_event.kernel, attention.of_candidate.kernel, np.zeros((4, 3)), attention.of_product])
    for at, row in enumerate(rows):
        expected = np.zeros((2, 4))
        for event in events[row][: lengths[row]]:
            unit = (
                np.concatenate([event, candidates[at], event - candidates[at], event * candidates[at]]) @ first
                + attention.of_event.bias.numpy()
            )
            weight = 1 / (1 + np.exp(-(np.maximum(unit, 0) @ attention.weight.kernel.numpy() + attention.weight.bias.numpy())))
            expected += np.outer(weight, event)
        assert got[at] == pytest.approx(expected.ravel(), abs=1e-5)


def test_dot_product_attention_equals_its_formula_over_the_events_that_count():
    attention = DotProduct(width=2, heads=2)
    random = np.random.default_rng(0)
    candidates, events = random.normal(size=(2, 3)).astype("f"), random.normal(size=(2, 4, 3)).astype("f")
    got = attention(tf.constant(candidates), tf.constant(events), tf.constant([4, 3]), in_blocks(tf.constant([1, 1]))).numpy()
    for at, length in enumerate((4, 3)):
        query, key = candidates[at] @ attention.query.kernel.numpy(), events[at, :length] @ attention.key.kernel.numpy()
        for head in (0, 1):
            part = slice(2 * head, 2 * head + 2)
            weights = np.exp(key[:, part] @ query[part] / math.sqrt(2))
            expected = weights / weights.sum() @ events[at, :length]
            assert got[at, 3 * head : 3 * head + 3] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("attention", [ActivationUnit(units=3, heads=2), DotProduct(width=3, heads=2)])
@pytest.mark.parametrize("events", [3, 0])
def test_attention_over_no_history_is_0(attention, events):
    got = attention(tf.ones([2, 4]), tf.ones([1, events, 4]), tf.constant([0]), in_blocks(tf.constant([2])))
    assert got.numpy().tolist() == [[0] * 8] * 2


def matches(candidates, events, lengths, rows, action, age):
    layer = HistoryMatch("item", 2, dim=1)
    blocks = in_blocks(tf.math.bincount(rows, minlength=len(lengths)))
    candidate_ids, known, counts, done, ages = (tf.constant(each, tf.int64) for each in (candidates, events, lengths, action, age))
    computed = layer(candidate_ids, known, counts, blocks, done, ages).numpy()
    return computed[:, :6], computed[:, 6:], layer


def test_matches_tell_of_the_same_id_in_the_history():
    # One request; history oldest first: 7 (action 1), 8 (action 2), 7 (action 2), 9 (action 1), then padding.
    numbers, embedded, layer = matches([7, 9, 5, 0], [[7, 8, 7, 9, 7]], [4], [0, 0, 0, 0], [[1, 2, 2, 1, 1]], [[9, 8, 7, 6, 0]])
    two, one = math.log(3), math.log(2)
    # any, 1 / (1 + events since), is last, log(1 + count), and that by action
    assert numbers[0] == pytest.approx([1, 1 / 2, 0, two, one, one])
    assert numbers[1] == pytest.approx([1, 1, 1, one, one, 0])
    assert numbers[2].tolist() == [0] * 6
    assert numbers[3].tolist() == [0] * 6  # a missing id matches nothing
    action, age = layer.action.table.numpy()[:, 0], layer.age.table.numpy()[:, 0]
    assert embedded[0].tolist() == [action[2], age[7]]
    assert embedded[1].tolist() == [action[1], age[6]]
    assert embedded[2].tolist() == [action[0], age[-1]]


def test_padding_and_empty_histories_match_nothing():
    numbers, _, _ = matches([7, 0], [[0, 0], [7, 7]], [1, 0], [0, 1], [[1, 0], [0, 0]], [[1, 0], [0, 0]])
    assert not numbers.any()
    numbers, _, _ = matches([7], np.zeros((1, 0)), [0], [0], np.zeros((1, 0)), np.zeros((1, 0)))
    assert not numbers.any()


def test_self_attention_is_that_of_the_events_that_count_and_nothing_beyond():
    layer = SelfAttention(heads=2, dropout=0.5)
    random = np.random.default_rng(0)
    events, lengths = random.normal(size=(3, 5, 4)).astype("f"), tf.constant([5, 2, 0])
    encoded = layer(tf.constant(events), lengths, training=False).numpy()
    assert encoded.shape == events.shape
    assert not encoded[1, 2:].any()
    assert not encoded[2].any()
    junk = events.copy()
    junk[1, 2:] = 1e3
    assert layer(tf.constant(junk), lengths, training=False).numpy()[:2, :2] == pytest.approx(encoded[:2, :2], abs=1e-5)
    alone = layer(tf.constant(events[1:2, :2]), tf.constant([2]), training=False).numpy()
    assert encoded[1:2, :2] == pytest.approx(alone, abs=1e-5)
    changed = events.copy()
    changed[0, 4, 0] += 1
    assert (
        np.abs(layer(tf.constant(changed), lengths, training=False).numpy()[0, 0] - encoded[0, 0]).max() > 1e-3
    )  # an event sees the others
