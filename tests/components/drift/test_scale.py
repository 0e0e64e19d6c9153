"""A factor of all values is found though few items make up the rows; items that come, go, or move each for itself are none."""

import numpy as np
import pytest

from components.drift.comparison.scale_test import contradicts, scale_change
from components.drift.sketch.number_sketch import NumberSketch

ITEMS = 800


def sketch(logs: np.ndarray, popularity: np.ndarray, *, seed: int, rows: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    items = rng.choice(len(logs), rows, p=popularity / popularity.sum())
    of = NumberSketch()
    groups = (items * 2654435761 % 64).astype(np.uint8)
    of.add(np.exp(logs[items]).astype(np.float32), groups, np.zeros(rows, np.int32), groups)
    assert of.by_items is not None
    return of.by_items.astype(float)


@pytest.fixture(scope="module")
def shop() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logarithms of values, and what is popular before and after."""
    rng = np.random.default_rng(0)
    return rng.normal(3, 1, ITEMS), rng.lognormal(0, 1, ITEMS), rng.lognormal(0, 1, ITEMS)


@pytest.mark.parametrize("factor", [0.9, 1.05, 1.1, 1.3])
def test_a_factor_is_sure_in_two_thousand_rows_whatever_is_popular(factor: float, shop: tuple[np.ndarray, ...]) -> None:
    logs, before, after = shop
    found, p = scale_change(sketch(logs, before, seed=1, rows=50_000), sketch(logs + np.log(factor), after, seed=2, rows=2_000))
    assert found == pytest.approx(factor, rel=0.03)
    assert p < 1e-6


def test_another_popularity_is_no_factor(shop: tuple[np.ndarray, ...]) -> None:
    logs, before, after = shop
    assert scale_change(sketch(logs, before, seed=1, rows=50_000), sketch(logs, after, seed=2, rows=2_000)) == (None, 1.0)


def test_a_sale_of_some_new_items_and_values_that_move_each_for_itself_are_none(shop: tuple[np.ndarray, ...]) -> None:
    logs, before, after = shop
    rng, reference = np.random.default_rng(3), sketch(logs, before, seed=1, rows=50_000)
    for later in (
        np.where(rng.random(ITEMS) < 0.2, logs + np.log(0.8), logs),
        np.where(rng.random(ITEMS) < 0.3, rng.normal(3.5, 1, ITEMS), logs),
        logs + rng.normal(0.1, 0.2, ITEMS),
    ):
        assert scale_change(reference, sketch(later, after, seed=2, rows=5_000)) == (None, 1.0)


def test_a_mean_that_moved_by_what_is_popular_is_contradicted_by_the_items(shop: tuple[np.ndarray, ...]) -> None:
    logs, before, after = shop
    reference = sketch(logs, before, seed=1, rows=50_000)
    dearer = after * np.exp(0.2 * logs)  # the dear ones are popular now
    assert contradicts(reference, sketch(logs, dearer, seed=2, rows=5_000), 1.2)
    assert not contradicts(reference, sketch(logs + np.log(1.2), after, seed=2, rows=5_000), 1.2)
    assert not contradicts(reference, sketch(logs + np.log(100), after, seed=2, rows=5_000), 100.0)


def test_of_nothing_nothing_is_said() -> None:
    empty = np.zeros((64, 4096))
    assert scale_change(empty, empty) == (None, 1.0)
