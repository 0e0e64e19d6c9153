import numpy as np
import pyarrow as pa
import pytest
from scipy.spatial.distance import jensenshannon

from components.drift.comparison.category_comparison import CategoryComparison
from components.drift.comparison.compare import column_changes, compare_columns, p_values, significant
from components.drift.comparison.effects import jensen_shannon, l_infinity
from components.drift.comparison.number_comparison import NumberComparison
from components.drift.sketch.window_sketch import ColumnValues, RequestBlock, WindowSketch
from tests.components.drift.synthetic import choice, lognormal, window

REFERENCE_DAYS, WINDOW_DAYS = range(100, 110), range(110, 111)


def number(reference: float = 1.0, factor: float = 1.0, missing: float = 0.0) -> NumberComparison:
    old = window({"x": lognormal(reference)}, seed=11, days=REFERENCE_DAYS, rows=20_000)
    new = window({"x": lognormal(factor, missing)}, seed=12, days=WINDOW_DAYS)
    comparison = compare_columns(old, new)["x"]
    assert isinstance(comparison, NumberComparison)
    return comparison


def test_a_column_that_didnt_change_has_no_factor_no_constant_and_no_small_p() -> None:
    same = number()
    assert same.p > 0.01
    assert same.marks.factor is None
    assert same.marks.constant is None
    assert same.superiority == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("factor", [100.0, 0.01, 1.25, 2.54])
def test_a_factor_is_estimated(factor: float) -> None:
    scaled = number(factor=factor)
    assert scaled.marks.factor == pytest.approx(factor, rel=0.05)
    assert scaled.p < 1e-6


def test_a_wider_spread_is_no_factor() -> None:
    def wide(rng: np.random.Generator, rows: int) -> np.ndarray:
        return np.exp(3 * rng.normal(size=rows)).astype(np.float32)

    old = window({"x": lognormal()}, seed=1, days=REFERENCE_DAYS, rows=20_000)
    comparison = compare_columns(old, window({"x": wide}, seed=2, days=WINDOW_DAYS))["x"]
    assert isinstance(comparison, NumberComparison)
    assert comparison.marks.factor is None
    assert comparison.p < 1e-6


def test_missing_values_are_tested_apart_from_the_distribution() -> None:
    thinner = number(missing=0.3)
    assert thinner.missing.window == pytest.approx(0.3, abs=0.03)
    assert thinner.missing.p < 1e-6
    assert thinner.p > 0.05


def test_a_constant_is_named() -> None:
    old = window({"x": lognormal()}, seed=1, days=REFERENCE_DAYS)
    new = window({"x": lambda rng, rows: np.zeros(rows, np.float32)}, seed=2, days=WINDOW_DAYS)
    comparison = compare_columns(old, new)["x"]
    assert isinstance(comparison, NumberComparison)
    assert comparison.marks.constant == 0.0


def categories(old: dict[str, float], new: dict[str, float]) -> CategoryComparison:
    reference = window({"x": choice(old)}, seed=1, days=REFERENCE_DAYS, rows=10_000)
    comparison = compare_columns(reference, window({"x": choice(new)}, seed=2, days=WINDOW_DAYS))["x"]
    assert isinstance(comparison, CategoryComparison)
    return comparison


def test_shares_that_moved_are_found_and_equal_ones_are_not() -> None:
    shares = {"a": 0.5, "b": 0.3, "c": 0.2}
    assert categories(shares, shares).p > 0.05
    moved = categories(shares, {"a": 0.4, "b": 0.4, "c": 0.2})
    assert moved.p < 1e-6
    assert moved.effect == pytest.approx(0.1, abs=0.03)
    assert moved.unseen.window == 0.0


def test_values_new_to_the_reference_are_named_with_their_share() -> None:
    new = categories({"a": 0.6, "b": 0.4}, {"a": 0.55, "b": 0.35, "novum": 0.07, "nouveau": 0.03})
    assert new.unseen.window == pytest.approx(0.1, abs=0.02)
    assert new.unseen.p < 1e-6
    assert new.unseen_values == ("novum", "nouveau")


def test_values_that_a_shop_adds_every_day_are_no_news() -> None:
    def sketch(days: range, seed: int) -> WindowSketch:
        rng, whole = np.random.default_rng(seed), WindowSketch()
        for day in days:
            texts = pa.array([f"new {day}" if u < 0.05 else "old" for u in rng.random(500)])
            shoppers = rng.integers(0, 2**63, 500).astype(np.uint64)
            whole.add(RequestBlock(shoppers, np.full(500, day * 86_400_000_000), [ColumnValues("x", texts, np.arange(500))]))
        return whole

    comparison = compare_columns(sketch(range(12), 1), sketch(range(12, 13), 2))["x"]
    assert isinstance(comparison, CategoryComparison)
    assert comparison.unseen.window == pytest.approx(0.05, abs=0.03)
    assert comparison.unseen.p > 0.01


@pytest.mark.parametrize("since", [0, 3, 6])
def test_values_that_a_shop_adds_every_day_add_up_with_the_age_of_the_reference(since: int) -> None:
    def sketch(days: range, seed: int) -> WindowSketch:
        """Of a day's rows a hundredth have each value that came on one of the days up to it."""
        rng, whole = np.random.default_rng(seed), WindowSketch()
        for day in days:
            came = rng.integers(day - 99, day + 1, 4_000)
            shoppers = rng.integers(0, 2**63, 4_000).astype(np.uint64)
            texts = pa.array([f"of day {each}" for each in came])
            whole.add(RequestBlock(shoppers, np.full(4_000, day * 86_400_000_000), [ColumnValues("x", texts, np.arange(4_000))]))
        return whole

    comparison = compare_columns(sketch(range(200, 221), 1), sketch(range(221 + since, 222 + since), 2))["x"]
    assert isinstance(comparison, CategoryComparison)
    assert comparison.unseen.window == pytest.approx(0.01 * (since + 1), abs=0.006)
    assert comparison.unseen.p > 0.01


def _shown(rng: np.random.Generator, rates: np.ndarray, *, days: range, by_items: bool) -> WindowSketch:
    """4,000 rows of 200 items, each with its item's value of these days."""
    sketch, rows = WindowSketch(), 4_000
    items = rng.integers(0, len(rates), rows)
    hashes = (items.astype(np.uint64) * np.uint64(11400714819323198485)) >> np.uint64(7)
    column = ColumnValues("x", rates[items].astype(np.float32), np.arange(rows), hashes if by_items else None)
    times_us = rng.integers(days.start * 86_400_000_000, days.stop * 86_400_000_000, rows)
    sketch.add(RequestBlock(rng.integers(0, 2**63, rows).astype(np.uint64), times_us, [column]))
    return sketch


@pytest.mark.parametrize("by_items", [True, False])
def test_items_whose_values_wander_each_for_itself_are_no_drift_as_their_rows_depend_on_each_other(by_items: bool) -> None:
    rng, alarmed = np.random.default_rng(3), 0
    for _ in range(60):
        logs = rng.normal(size=200)
        wandered = 0.8 * logs + 0.6 * rng.normal(size=200)  # of the same distribution
        reference = _shown(rng, np.exp(logs), days=range(4), by_items=by_items)
        later = _shown(rng, np.exp(wandered), days=range(4, 5), by_items=by_items)
        alarmed += compare_columns(reference, later)["x"].p < 0.05
    assert alarmed <= 8 if by_items else alarmed > 15  # of 60 at 5 %: more than 8 come once in 500


def test_the_false_discovery_rate_holds_over_all_columns_together() -> None:
    columns = {f"c{i}": lognormal() for i in range(12)}
    reference = window(columns, seed=0, days=REFERENCE_DAYS, rows=8_000)
    alarmed = 0
    for seed in range(1, 41):
        tests = p_values(compare_columns(reference, window(columns, seed=seed, days=WINDOW_DAYS, rows=2_000)))
        alarmed += bool(significant(tests, false_discovery_rate=0.05))
    assert alarmed <= 6  # of 40 at 5 %: more comes once in a hundred


def test_only_significant_tests_are_marked() -> None:
    old = window({"x": lognormal(), "y": lognormal()}, seed=1, days=REFERENCE_DAYS)
    new = window({"x": lognormal(3.0), "y": lognormal()}, seed=2, days=WINDOW_DAYS)
    comparisons = compare_columns(old, new)
    changes = column_changes(comparisons, significant(p_values(comparisons), false_discovery_rate=0.05))
    assert (changes["x"].distribution, changes["x"].missing, changes["y"].distribution) == (True, False, False)


def test_distances_are_those_of_the_books() -> None:
    old, new = np.array([2.0, 1.0, 1.0]), np.array([1.0, 1.0, 2.0])
    assert l_infinity(old, new) == 1 / 4
    assert jensen_shannon(old, new) == pytest.approx(jensenshannon(old, new, base=2) ** 2)
    assert jensen_shannon(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(1.0)
