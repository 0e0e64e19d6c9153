import math

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.quality.baseline_scores import rules
from components.contract.load import parse_dataset

SHOP = """
name: shop
events: {path: e.csv, columns: {time: t, user: u, item: i, action: a, request: r, position: p}}
actions: {view: {}, click: {label: 1}}
candidates: {from: impressions, action: view}
half_lives: [1h, 7d]
features:
  - {name: item, kind: id, side: item}
"""
CLICKS = "  - {name: clicks, kind: state, side: item, measure: count, action: click}\n"
PAST = "  - {name: past, kind: history, side: user, actions: [click], fields: [item]}\n"

FEATURES = {
    "item": tf.ragged.constant([["a", "b", "c"], ["a", "b"]]),
    "position": tf.ragged.constant([[0, 1, 2], [0, 1]]),
    "clicks_1h": tf.ragged.constant([[9.0, 9, 9], [9, 9]]),
    "clicks_7d": tf.ragged.constant([[1.0, 3, 0], [0, 8]]),
    "past_item": tf.ragged.constant([["c", "b", "b"], []], ragged_rank=1),
    "past_action": tf.ragged.constant([["click", "click", "click"], []], ragged_rank=1),
    "past_age_s": tf.ragged.constant([[9.0, 8, 7], []], ragged_rank=1),
}


def found(*features: str, **changed: tf.RaggedTensor) -> dict[str, list[float]]:
    return {name: scores.tolist() for name, scores in rules(parse_dataset(SHOP + "".join(features)), FEATURES | changed).items()}


def below_one(*values: float) -> list[float]:
    return [math.copysign(math.log1p(abs(value)), value) / 90 for value in values]


def test_shown_order_falls_with_the_position() -> None:
    assert found() == {"shown order": [0, -1, -2, 0, -1]}


def test_an_order_that_is_not_known_everywhere_is_no_rule() -> None:
    assert found(position=tf.ragged.constant([[0, 1, -1], [0, 1]])) == {}


def test_popularity_is_the_count_of_the_longest_half_life() -> None:
    assert found(CLICKS)["popularity"] == [1, 3, 0, 0, 8]


def test_the_item_last_seen_comes_first_and_then_shown_order() -> None:
    expected = below_one(0, -1, -2, 0, -1)
    expected[1] = 1  # "b" is the first request's last event; the second has none
    assert found(PAST)["last seen, then shown order"] == pytest.approx(expected)


def test_without_an_order_popularity_comes_after_the_item_last_seen() -> None:
    unknown = tf.ragged.constant([[-1, -1, -1], [-1, -1]])
    expected = below_one(1, 3, 0, 0, 8)
    expected[1] = 1
    assert found(CLICKS, PAST, position=unknown)["last seen, then popularity"] == pytest.approx(expected)


def test_times_in_the_history_go_before_popularity_or_else_shown_order() -> None:
    times = np.array([0, 2, 1, 0, 0])
    assert found(CLICKS, PAST)["times in history, then popularity"] == pytest.approx(times + below_one(1, 3, 0, 0, 8))
    assert found(PAST)["times in history, then shown order"] == pytest.approx(times + below_one(0, -1, -2, 0, -1))


def test_a_huge_count_stays_below_a_single_time_in_the_history() -> None:
    huge = tf.ragged.constant([[3e38, 0, 0], [0, 0]])
    a, _, c, *_ = found(CLICKS, PAST, clicks_7d=huge)["times in history, then popularity"]
    assert 0 < a < c
