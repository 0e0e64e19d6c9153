"""Faults planted into a small synthetic shop are decided on and named."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from components.contract.dataset import Dataset
from components.contract.load import parse_dataset
from components.drift.check import Check, Window, check
from components.drift.decision import Action
from components.drift.faults.log_faults import DELAY
from components.drift.serving_skew import ColumnSkew, Skew
from components.drift.sketch.quality_sums import RankedLists
from components.drift.sketch.window_sketch import ColumnValues, RequestBlock

DAY_US, HOUR_US = 86_400_000_000, 3_600_000_000
CANDIDATES, DAYS = 5, 8
COURSE = 0.2 + np.exp(-(((np.arange(24) - 15) / 4) ** 2))
FILE = """
name: little
events: {path: e.csv, columns: {time: t, user: u, item: i, action: a, request: r}}
items: {path: i.csv, id: id}
actions: {impression: {}, click: {label: 1}, cart: {label: 2}}
candidates: {from: impressions}
features:
  - {name: device, kind: category, side: context}
  - {name: brand, kind: category, side: item}
  - {name: price, kind: number, side: item}
  - {name: weight, kind: number, side: item}
  - {name: item_ctr, kind: state, side: item, measure: rate, action: click, per: impression}
"""
ITEM_COLUMNS = ("brand", "price", "weight")
Plant = Callable[[RequestBlock], RequestBlock]


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return parse_dataset(FILE)


def shop(seed: int, days: range, *, turned: bool = False, plant: Plant = lambda block: block, per_day: int = 700) -> Window:
    """A window of requests of 5 candidates each, of 300 shoppers; scores are the probability of a click, or no longer so."""
    rng = np.random.default_rng(seed)
    size = per_day * len(days)
    shoppers = rng.integers(0, 2**63, 300).astype(np.uint64)[rng.integers(0, 300, size)]
    hours = rng.choice(24, size, p=COURSE / COURSE.sum())
    times_us = rng.integers(days.start, days.stop, size) * DAY_US + hours * HOUR_US + rng.integers(0, HOUR_US, size)
    rows = np.repeat(np.arange(size), CANDIDATES)
    many = len(rows)
    scores = rng.beta(1, 6, many).astype(np.float32)
    labels = (rng.random(many) < (rng.permutation(scores) if turned else scores)).astype(np.float32)
    clicks = np.flatnonzero(labels)
    columns = [
        ColumnValues("device", pa.array(rng.choice(["phone", "desktop"], size, p=[0.7, 0.3])), np.arange(size)),
        ColumnValues("brand", pa.array(rng.choice(["Lume", "Nord", "Sol", ""], many, p=[0.5, 0.3, 0.19, 0.01])), rows),
        ColumnValues("price", np.exp(3 + rng.normal(size=many)).astype(np.float32), rows),
        ColumnValues("weight", np.exp(rng.normal(size=many) / 2).astype(np.float32), rows),
        ColumnValues("item_ctr_1d", rng.beta(1, 9, many).astype(np.float32), rows),
        ColumnValues("label", labels, rows),
        ColumnValues("label_cart", np.where(rng.random(many) < 0.3, labels, 0).astype(np.float32), rows),
        ColumnValues(DELAY, rng.gamma(2, 20, len(clicks)).astype(np.float32), rows[clicks]),
    ]
    window = Window()
    window.sketch.add(plant(RequestBlock(shoppers, times_us, columns)))
    window.quality.add(
        RankedLists(shoppers, times_us, np.full(size, CANDIDATES), scores, labels, {"device": columns[0].values.to_pylist()})
    )
    return window


@pytest.fixture(scope="module")
def reference() -> Window:
    return shop(0, range(DAYS))


def changed(**columns: Callable[[ColumnValues], object]) -> Plant:
    def plant(block: RequestBlock) -> RequestBlock:
        new = [replace(each, values=columns[each.name](each)) if each.name in columns else each for each in block.columns]  # type: ignore[arg-type]
        return replace(block, columns=new)

    return plant


def decided(reference: Window, dataset: Dataset, *, turned: bool = False, plant: Plant = lambda block: block) -> Check:
    return check(reference, shop(1, range(DAYS, DAYS + 1), turned=turned, plant=plant), dataset)


def lost(column: ColumnValues) -> object:
    out = np.arange(len(column.values)) % 4 == 0
    if isinstance(column.values, np.ndarray):
        return np.where(out, np.float32(np.nan), column.values)
    return pa.compute.if_else(pa.array(out), "", column.values)


def novel(column: ColumnValues) -> object:
    assert not isinstance(column.values, np.ndarray)
    return pa.compute.if_else(pa.array(np.arange(len(column.values)) % 5 == 0), "Novum", column.values)


def third(factor: float) -> Callable[[ColumnValues], object]:
    return lambda each: np.where(np.arange(len(each.values)) % 3 == 0, each.values * factor, each.values).astype(np.float32)  # type: ignore[arg-type]


def spelled(change: Callable[[str], str]) -> Callable[[ColumnValues], object]:
    return lambda each: pa.array([change(value) if value else value for value in each.values.to_pylist()])  # type: ignore[union-attr]


FAULTS: Mapping[str, tuple[Plant, Action, str, str]] = {
    "constant": (changed(price=lambda each: each.values * 0), Action.FREEZE, "broken feature", "price"),
    "empty": (changed(brand=lambda each: pa.array([""] * len(each.values))), Action.FREEZE, "broken feature", "brand"),
    "cents": (changed(price=lambda each: each.values * 100), Action.FREEZE, "changed unit", "price"),
    "dearer": (changed(price=lambda each: each.values * 1.15), Action.RETRAIN_WARM, "shifted scale", "price"),
    "miles": (changed(weight=lambda each: each.values / 1.609), Action.FREEZE, "changed unit", "weight"),
    "cents in a third": (changed(price=third(100.0)), Action.FREEZE, "changed unit", "price"),
    "zero in a third": (changed(price=third(0.0)), Action.FREEZE, "broken feature", "price"),
    "no state": (changed(item_ctr_1d=lambda each: each.values * 0), Action.FREEZE, "broken feature", "item_ctr_1d"),
    "capitals": (changed(brand=spelled(str.upper)), Action.FREEZE, "changed encoding", "brand"),
    "one in capitals": (changed(device=spelled(lambda value: value.replace("d", "D"))), Action.FREEZE, "changed encoding", "device"),
    "other codes": (changed(brand=spelled(lambda value: f"{len(value)}{value[::-1]}")), Action.FREEZE, "changed encoding", "brand"),
    "renamed": (
        changed(device=spelled(lambda value: value.replace("desktop", "laptop"))),
        Action.RETRAIN_FULL,
        "new categories",
        "device",
    ),
    "no labels": (changed(label=lambda each: each.values * 0), Action.FREEZE, "missing labels", "labels"),
    "no carts": (changed(label_cart=lambda each: each.values * 0), Action.FREEZE, "missing labels", "label_cart"),
    "unjoined": (changed(**dict.fromkeys(ITEM_COLUMNS, lost)), Action.FREEZE, "missing join", "items"),
    "new brand": (changed(brand=novel), Action.RETRAIN_FULL, "new categories", "brand"),
    "clock ahead": (lambda block: replace(block, times_us=block.times_us + 3 * HOUR_US), Action.FREEZE, "clock skew", "requests"),
    "early clicks": (changed(delay_s=lambda each: each.values - 20), Action.FREEZE, "clock skew", "interactions"),
    "late clicks": (changed(delay_s=lambda each: each.values + 60), Action.FREEZE, "clock skew", "interactions"),
    "a third lost": (lambda block: block.filtered(block.shoppers % np.uint64(3) > 0), Action.FREEZE, "lost requests", "requests"),
    "half lost": (lambda block: block.filtered(np.arange(len(block.times_us)) % 2 == 0), Action.FREEZE, "lost requests", "requests"),
}


def test_a_window_like_its_reference_asks_for_nothing(reference: Window, dataset: Dataset) -> None:
    assert decided(reference, dataset).decision.reasons == ()


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_decided_on_and_named(name: str, reference: Window, dataset: Dataset) -> None:
    plant, action, kind, subject = FAULTS[name]
    decision = decided(reference, dataset, plant=plant).decision
    assert decision.action == action, decision
    assert (kind, subject) in {(reason.kind, reason.subject) for reason in decision.reasons}, decision


LATE = {
    "constant": ("broken feature", "price", " in the last days"),
    "empty": ("broken feature", "brand", "missing"),
    "cents": ("changed unit", "price", "times what they were, as hundredths (cents) would be in the last days"),
    "half lost": ("lost requests", "requests", "on the last day"),
}


@pytest.mark.parametrize("name", LATE)
def test_a_fault_that_began_within_the_window_is_named_by_the_last_days(name: str, reference: Window, dataset: Dataset) -> None:
    kind, subject, words = LATE[name]
    window = shop(1, range(DAYS, DAYS + 2))
    late = shop(2, range(DAYS + 2, DAYS + 3), plant=FAULTS[name][0])
    window.sketch.merge(late.sketch)
    window.quality.merge(late.quality)
    named = {(reason.kind, reason.subject): reason.text for reason in check(reference, window, dataset).decision.reasons}
    assert words in named[kind, subject]


def test_a_taste_that_turned_is_told_from_features_that_hold(reference: Window, dataset: Dataset) -> None:
    decision = decided(reference, dataset, turned=True).decision
    assert decision.action == Action.RETRAIN_FULL
    assert decision.reasons[0].kind == "changed taste"
    assert "no feature is broken" in decision.reasons[0].text


def test_a_feature_that_the_model_leans_on_alarms_at_a_smaller_change(reference: Window, dataset: Dataset) -> None:
    window = shop(1, range(DAYS, DAYS + 1), plant=changed(item_ctr_1d=lambda each: each.values * np.float32(1.1)))
    leaning = check(reference, window, dataset, importance={"item_ctr": 0.08, "price": 0.01, "brand": 0.0})
    ignored = check(reference, window, dataset, importance={"item_ctr": 0.001, "price": 0.08, "brand": 0.08})
    assert "item_ctr_1d" in {reason.subject for reason in leaning.decision.reasons}
    assert "item_ctr_1d" not in {reason.subject for reason in ignored.decision.reasons}


def test_a_window_with_too_few_requests_is_not_judged(reference: Window, dataset: Dataset) -> None:
    def three_hours(block: RequestBlock) -> RequestBlock:
        return FAULTS["constant"][0](block.filtered(block.times_us // HOUR_US % 24 // 3 == 3))

    few = check(reference, shop(1, range(DAYS, DAYS + 1), plant=three_hours), dataset)
    assert not few.enough
    assert few.decision.action is Action.NOTHING


def test_a_window_with_few_requests_where_many_were_expected_is_judged_by_their_number_alone(reference: Window, dataset: Dataset) -> None:
    few = check(reference, shop(1, range(DAYS, DAYS + 1), per_day=100, plant=FAULTS["constant"][0]), dataset)
    assert few.enough
    assert [(reason.kind, reason.subject) for reason in few.decision.reasons] == [("lost requests", "requests")]


def test_features_sent_otherwise_than_computed_freeze_with_an_example(reference: Window, dataset: Dataset) -> None:
    example = "request 'r1', item 'i1': sent 3, ingestion computes 4"
    skew = Skew({"price": ColumnSkew(100, 20, [example]), "weight": ColumnSkew(100, 1, ["a rounding"])}, 0, 0)
    decision = check(reference, shop(1, range(DAYS, DAYS + 1)), dataset, skew=skew).decision
    (reason,) = decision.reasons
    assert decision.action is Action.FREEZE
    assert "20 of 100" in reason.text
    assert example in reason.text
