import numpy as np
import pytest
import tensorflow as tf

from trainer.distillation.history_features import codes, crossing, padded

NAN = float("nan")
FEATURES = {
    "item": tf.ragged.constant([["a", "b", "c", ""], ["a"], ["a", "d"]]),
    "past_item": tf.ragged.constant([["a", "b", "a", ""], [], ["d"]], ragged_rank=1),
    "past_action": tf.ragged.constant([["buy", "click", "click", "buy"], [], ["buy"]], ragged_rank=1),
    "past_age_s": tf.ragged.constant([[90.0, 60, 30, 10], [], [7]], ragged_rank=1),
}


def test_each_candidate_is_held_against_the_history_of_its_own_request() -> None:
    matches = crossing(FEATURES, "item", "past")
    assert matches.times.tolist() == [2, 1, 0, 0, 0, 0, 1]
    # Events after the last match: "a" is the last but one of four, "b" the last but two.
    assert matches.events_since == pytest.approx([1, 2, NAN, NAN, NAN, NAN, 0], nan_ok=True)
    assert matches.seconds_since == pytest.approx([30, 60, NAN, NAN, NAN, NAN, 7], nan_ok=True)
    click, buy = codes(tf.constant(["click", "buy"]))
    assert matches.last_action.tolist() == [click, click, 0, 0, 0, 0, buy]


def test_a_missing_value_matches_no_missing_value_of_the_history() -> None:
    matches = crossing(FEATURES, "item", "past")
    assert matches.times[3] == 0
    assert np.isnan(matches.events_since[3])


def test_without_any_event_nothing_matches() -> None:
    nothing = tf.RaggedTensor.from_row_splits(tf.constant([], tf.string), [0, 0, 0])
    ages = tf.RaggedTensor.from_row_splits(tf.constant([], tf.float32), [0, 0, 0])
    empty = {"item": tf.ragged.constant([["a"], ["b", ""]]), "past_item": nothing, "past_action": nothing, "past_age_s": ages}
    matches = crossing(empty, "item", "past")
    assert matches.times.tolist() == matches.last_action.tolist() == [0, 0, 0]
    assert np.isnan(matches.events_since).all()
    assert np.isnan(matches.seconds_since).all()


def test_codes_tell_values_apart_and_0_is_the_missing_one() -> None:
    matches = codes(tf.constant(["", "a", "b", "a"]))
    assert matches[0] == 0
    assert (matches[1:] > 0).all()
    assert matches[1] == matches[3] != matches[2]


def test_padding_is_0_behind_the_events() -> None:
    matches = padded(FEATURES["past_item"])
    assert matches.shape == (3, 4)
    assert (matches[1] == 0).all()
    assert (matches[2] != 0).tolist() == [True, False, False, False]
