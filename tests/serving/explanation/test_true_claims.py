"""What is said of a candidate is true of the request's values, whatever they are."""

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from components.contract.load import parse_dataset
from serving.explanation.claims import Claims
from serving.explanation.differences import Differences
from serving.explanation.phrases import duration, figure, number_word, rank_in_list
from serving.explanation.reasons import Reasons
from serving.explanation.request_values import RequestValues

SHOP = """\
name: shop
events: {path: e.csv, columns: {time: at, user: user, item: item, action: action, request: request}}
items: {path: i.csv, id: id}
actions: {impression: {}, click: {label: 1}}
candidates: {from: impressions}
session_gap: 30m
half_lives: [1d, 7d]
features:
  - {name: device, kind: category, side: context}
  - {name: visit, kind: state, side: context, measure: session_age}
  - {name: history, kind: history, side: user, length: 6, actions: [click], fields: [brand]}
  - {name: brand, kind: category, side: item}
  - {name: tags, kind: multi, side: item, separator: "|"}
  - {name: price, kind: number, side: item}
  - {name: price_in_list, kind: list, side: item, of: price}
  - {name: weight, kind: number, side: item}
  - {name: ctr, kind: state, side: item, measure: rate, action: click, per: impression}
  - {name: clicks, kind: state, side: item, measure: total, action: click}
  - {name: click_age, kind: state, side: item, measure: recency, action: click}
"""
DATASET = parse_dataset(SHOP)
# As the Trainer names attributions: the features, and the history's fields.
NAMES = [*(feature.name for feature in DATASET.features if feature.kind != "history"), "history.same_brand"]
BRANDS = [b"", b"Alder", b"Kelso"]
numbers = st.one_of(st.just(math.nan), st.integers(0, 4).map(float), st.floats(0, 1e6, width=32))


@st.composite
def requests(draw: st.DrawFn) -> dict[str, NDArray[Any]]:
    """The tensors of a request of two to six candidates and at most four events, padded."""
    length, events = draw(st.integers(2, 6)), draw(st.integers(0, 4))
    column = lambda of: np.array([[*draw(st.lists(of, min_size=length, max_size=length)), 0.0]], np.float32)  # noqa: E731
    text = lambda count, of: np.array([[*draw(st.lists(of, min_size=count, max_size=count)), b""]], object)  # noqa: E731
    ages = sorted(draw(st.lists(st.floats(0, 7200, width=32), min_size=events, max_size=events)), reverse=True)
    return {
        "device": np.array([draw(st.sampled_from([b"", b"mobile"]))], object),
        "visit": np.array([draw(st.floats(0, 7200, width=32))], np.float32),
        "history_brand": text(events, st.sampled_from(BRANDS)),
        "history_action": text(events, st.just(b"click")),
        "history_age_s": np.array([[*ages, 0.0]], np.float32),
        "n_history": np.array([events], np.int64),
        "brand": text(length, st.sampled_from(BRANDS)),
        "tags": text(length, st.sampled_from([b"", b"new", b"new|sale"])),
        "price": column(numbers),
        "weight": column(numbers),
        "ctr_1d": column(st.floats(0, 1, width=32)),
        "ctr_7d": column(st.floats(0, 1, width=32)),
        "clicks": column(st.integers(0, 20).map(float)),
        "click_age": column(numbers),
        "n_candidates": np.array([length], np.int64),
    }


def candidates(tensors: dict[str, NDArray[Any]]) -> tuple[RequestValues, int]:
    length = int(tensors["n_candidates"][0])
    return RequestValues(DATASET, tensors, length), length


RANKS = {
    "the cheapest of": lambda own, others: all(own < other for other in others),
    "cheaper than most of": lambda own, others: sum(own < other for other in others) * 2 > len(others),
    "dearer than most of": lambda own, others: sum(own > other for other in others) * 2 > len(others),
    "the dearest of": lambda own, others: all(own > other for other in others),
    "the lowest of": lambda own, others: all(own < other for other in others),
    "lower than most of": lambda own, others: sum(own < other for other in others) * 2 > len(others),
    "higher than most of": lambda own, others: sum(own > other for other in others) * 2 > len(others),
    "the highest of": lambda own, others: all(own > other for other in others),
    "near the middle of": lambda own, others: max(sum(own < o for o in others), sum(own > o for o in others)) * 2 <= len(others),
}


@settings(max_examples=40)
@given(requests())
def test_what_is_said_of_a_number_in_its_list_is_so(tensors: dict[str, NDArray[Any]]) -> None:
    values, length = candidates(tensors)
    for name, column in (("price", "price"), ("price_in_list", "price"), ("weight", "weight"), ("clicks", "clicks"), ("ctr", "ctr_7d")):
        known = tensors[column][0, :length].tolist()
        for candidate in range(length):
            said = Claims(DATASET).claim(name, values, candidate)
            own, others = known[candidate], [each for at, each in enumerate(known) if at != candidate and not math.isnan(each)]
            claimed = [phrase for phrase in RANKS if phrase in said]
            for phrase in claimed:
                assert len(others) >= 2
                assert RANKS[phrase](own, others), (said, known)
            assert math.isnan(own) == ("unknown" in said)
            if name == "weight" and not math.isnan(own):
                assert float(said.split()[1].replace(",", "")) == pytest.approx(own, rel=1e-3, abs=1e-3)


@settings(max_examples=40)
@given(requests())
def test_what_is_said_of_the_history_is_counted_in_it(tensors: dict[str, NDArray[Any]]) -> None:
    values, length = candidates(tensors)
    events = int(tensors["n_history"][0])
    for candidate in range(length):
        said = Claims(DATASET).claim("history.same_brand", values, candidate)
        brand, past = tensors["brand"][0, candidate], tensors["history_brand"][0, :events]
        same = [at for at in range(events) if brand and past[at] == brand]
        recent = [at for at in same if tensors["history_age_s"][0, at] <= tensors["visit"][0]]
        if not events:
            assert said == "nothing is known of what this shopper did"
            continue
        assert bool(same) == ("none of" not in said and "wasn't" not in said)
        if same and events > 1:
            assert said.startswith(f"{number_word(len(same))} of the shopper's last {events} actions on this brand")
        assert bool(recent) == ("in this visit" in said)
        if recent and len(recent) < len(same):
            assert f"{number_word(len(recent))} of them in this visit" in said


@settings(max_examples=40)
@given(requests())
def test_why_one_stands_above_another_names_what_differs(tensors: dict[str, NDArray[Any]]) -> None:
    values, _ = candidates(tensors)
    differences = Differences(DATASET, Claims(DATASET))
    first, second = tensors["price"][0, :2].tolist()
    said = differences.difference("price", values, 0, 1)
    assert (first < second) == said.startswith("cheaper: ")
    assert (first > second) == said.startswith("dearer: ")
    assert (first == second) == said.startswith("the same price")
    if not math.isnan(first) and not math.isnan(second):
        prices = tensors["price"][0, : values.length]
        beaten = [int((prices > own).sum()) for own in (first, second)]
        assert differences.difference("price_in_list", values, 0, 1) == f"cheaper than {beaten[0]} of the others against {beaten[1]}"
    brands = [brand.decode() or "unknown" for brand in tensors["brand"][0, :2]]
    assert differences.difference("brand", values, 0, 1) in (
        f"brand {brands[0]} against {brands[1]}",
        f"the same brand, {brands[0]}",
        "the same brand: unknown",
    )
    assert (brands[0] == brands[1]) == differences.difference("brand", values, 0, 1).startswith("the same brand")
    clicks = [figure(value) for value in tensors["clicks"][0, :2].tolist()]
    assert differences.difference("clicks", values, 0, 1) == f"clicks so far: {clicks[0]} against {clicks[1]}"


@settings(max_examples=40)
@given(requests(), st.integers(0, 2**32 - 1))
def test_reasons_are_those_of_the_greatest_effect_and_differences_those_that_favour_the_first(
    tensors: dict[str, NDArray[Any]], seed: int
) -> None:
    values, length = candidates(tensors)
    rng = np.random.default_rng(seed)
    reasons = Reasons(DATASET)
    names, effects = reasons.effects(NAMES, rng.normal(size=(length, len(NAMES))), {"events": rng.normal(size=(length, 4))})
    assert names == [*NAMES, "history"]
    for candidate, chosen in enumerate(reasons.of_candidates(names, effects, values)):
        apart = effects[candidate] - effects.mean(axis=0)
        assert [abs(each.effect) for each in chosen] == sorted(np.abs(apart).tolist(), reverse=True)[:5]
        assert all(each.text for each in chosen)
    logits = effects.sum(axis=1)
    for pair in reasons.of_neighbours(names, effects, logits, values):
        assert logits[pair.above] >= logits[pair.below]
        gained = dict(zip(names, effects[pair.above] - effects[pair.below], strict=True))
        assert all(each.effect == gained[each.feature] > 0 for each in pair.reasons)
        assert all(each.text for each in pair.reasons)


def test_sentences_read_as_a_merchandiser_would_say_them() -> None:
    tensors = {
        "device": np.array([b"mobile"], object),
        "visit": np.array([300.0], np.float32),
        "history_brand": np.array([[b"Kelso", b"Alder", b"Alder"]], object),
        "history_action": np.array([[b"click"] * 3], object),
        "history_age_s": np.array([[90_000.0, 200.0, 100.0]], np.float32),
        "n_history": np.array([3], np.int64),
        "brand": np.array([[b"Alder", b"Kelso", b""]], object),
        "tags": np.array([[b"new|sale", b"", b""]], object),
        "price": np.array([[12.5, 20, 30]], np.float32),
        "weight": np.array([[1.0, math.nan, 3.0]], np.float32),
        "ctr_1d": np.array([[0.1, 0.1, 0.1]], np.float32),
        "ctr_7d": np.array([[0.042, 0.031, 0.01]], np.float32),
        "clicks": np.array([[12, 3, 0]], np.float32),
        "click_age": np.array([[7300, math.nan, 86_400]], np.float32),
        "n_candidates": np.array([3], np.int64),
    }
    values = RequestValues(DATASET, tensors, 3)
    claims = Claims(DATASET)
    assert {name: claims.claim(name, values, 0) for name in NAMES} == {
        "device": "device mobile",
        "visit": "this visit has lasted 5 minutes",
        "brand": "brand Alder",
        "tags": 'tags "new, sale"',
        "price": "price 12.5, the cheapest of this list",
        "price_in_list": "the cheapest of this list",
        "weight": "weight 1",
        "ctr": "click per impression: 4.2% (half-life 7d), the highest of this list",
        "clicks": "clicks so far: 12, the highest of this list",
        "click_age": "last click 2 hours ago",
        "history.same_brand": "two of the shopper's last 3 actions on this brand, in this visit",
    }
    differences = Differences(DATASET, claims)
    assert {name: differences.difference(name, values, 0, 1) for name in NAMES} == {
        "device": "device mobile",
        "visit": "this visit has lasted 5 minutes",
        "brand": "brand Alder against Kelso",
        "tags": 'tags "new, sale" against none',
        "price": "cheaper: 12.5 against 20",
        "price_in_list": "cheaper than 2 of the others against 1",
        "weight": "weight 1 against unknown",
        "ctr": "click per impression: 4.2% against 3.1%",
        "clicks": "clicks so far: 12 against 3",
        "click_age": "last click: 2 hours against never before",
        "history.same_brand": "of the shopper's last 3 actions two against one on its brand",
    }


@pytest.mark.parametrize(
    ("values", "candidate", "expected"),
    [
        ([1, 2, 3], 0, -2),
        ([1, 2, 3], 1, 0),
        ([1, 2, 3], 2, 2),
        ([1, 1, 3], 0, 0),
        ([1, 2], 0, 0),
        ([2, 1, 1, 3, 1], 0, 1),
        ([math.nan, 1, 2], 0, 0),
    ],
)
def test_most_is_more_than_half_of_at_least_two_others(values: list[float], candidate: int, expected: int) -> None:
    assert rank_in_list(np.array(values, np.float64), candidate) == expected


def test_a_duration_is_in_its_largest_unit() -> None:
    assert [duration(seconds) for seconds in (0, 1, 59, 60, 7300, 86_400 * 3.9)] == [
        "0 seconds",
        "1 second",
        "59 seconds",
        "1 minute",
        "2 hours",
        "3 days",
    ]


def test_a_word_that_no_feature_has_stands_for_itself() -> None:
    tensors = {"n_history": np.array([0], np.int64)}
    assert re.fullmatch("from another model", Claims(DATASET).claim("from_another_model", RequestValues(DATASET, tensors, 1), 0))
