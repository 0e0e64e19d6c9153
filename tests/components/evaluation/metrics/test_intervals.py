"""Intervals hold the truth as often as they say, however few the shoppers are; and Holm's procedure, by hand and by chance."""

import math

import numpy as np
import pytest
from scipy import stats

from benchmarks.evaluation.coverage import coverage
from benchmarks.evaluation.population import Population
from components.evaluation.metrics.intervals import half_width, holm, p_value
from components.evaluation.metrics.user_counts import NO_COUNTS, UserCounts


def test_few_shoppers_widen_an_interval() -> None:
    assert half_width(0.01, 10.0) == pytest.approx(0.01 * stats.t.ppf(0.975, 9))
    assert half_width(0.01, 1e6) == pytest.approx(0.0196, abs=1e-5)
    assert half_width(0.01, 100.0, confidence=0.99) == pytest.approx(0.01 * stats.t.ppf(0.995, 99))
    assert math.isnan(half_width(0.01, 1.0))
    assert math.isnan(half_width(math.nan, 50.0))


def test_the_p_value_is_at_most_a_level_where_the_interval_of_twice_the_level_is_clear_of_0() -> None:
    for error in (0.01, 0.02):
        edge = half_width(error, 40.0)
        assert p_value(-edge, error, 40.0) == pytest.approx(0.025)
        assert p_value(0.0, error, 40.0) == pytest.approx(0.5)
    assert (p_value(-1e-9, 0.0, 40.0), p_value(0.0, 0.0, 40.0)) == (0.0, 1.0)
    assert all(math.isnan(p) for p in (p_value(math.nan, 0.1, 9.0), p_value(0.1, math.nan, 9.0), p_value(0.1, 0.1, 1.0)))


def test_holm_by_hand() -> None:
    """4 hypotheses at 0.04: 0.01, then 0.04 / 3, then 0.02: the third p-value stops it, and the fourth isn't asked any more."""
    assert holm([0.05, 0.01, 0.0399, 0.013], alpha=0.04) == [None, 0.01, None, pytest.approx(0.04 / 3)]
    assert holm([], alpha=0.05) == []
    assert holm([0.9], alpha=0.05) == [None]


def test_holm_refutes_a_true_hypothesis_at_most_at_alpha_among_any_number() -> None:
    rng = np.random.default_rng(0)
    for n in (5, 40):
        false = [any(level is not None for level in holm(rng.random(n).tolist(), alpha=0.05)) for _ in range(2_000)]
        assert np.mean(false) <= 0.05 + 3 * (0.05 * 0.95 / 2_000) ** 0.5


def test_shoppers_are_counted_once_however_the_requests_are_split() -> None:
    rng = np.random.default_rng(1)
    user, positive = rng.integers(0, 2**64, 300, dtype=np.uint64)[rng.integers(0, 300, 2_000)], rng.random(2_000) < 0.2
    whole = UserCounts.from_users(user, positive)
    parts = NO_COUNTS
    for part in np.array_split(np.arange(2_000), 7):
        parts = parts + UserCounts.from_users(user[part], positive[part])
    requests = np.array([(positive & (user == each)).sum() for each in np.unique(user)], float)
    for found in (whole, parts):
        assert found.shoppers == len(requests)
        assert found.without_positive == (requests == 0).sum()
        assert found.effective == pytest.approx(requests.sum() ** 2 / (requests**2).sum())
    assert NO_COUNTS.effective == 0


def test_of_more_shoppers_than_fit_a_sample_tells_how_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.evaluation.metrics.user_counts.MAX_SHOPPERS", 1_000)
    user = np.random.default_rng(2).integers(0, 2**64, 20_000, dtype=np.uint64)
    found = UserCounts.from_users(np.repeat(user, 2), np.tile([True, False], 20_000))
    assert len(found.user) <= 1_000
    assert found.shoppers == pytest.approx(20_000, rel=0.15)
    assert found.effective == pytest.approx(found.shoppers)


@pytest.fixture(scope="module")
def population() -> Population:
    return Population.of_shop(events=200_000, seed=3)


@pytest.mark.parametrize("shoppers", [20, 67])
def test_intervals_of_few_shoppers_hold_the_truth(population: Population, shoppers: int) -> None:
    """Between 93 and 97 %, as far as 200 draws tell: less than two of their standard errors out, and on average over eight intervals."""
    found = coverage(population, shoppers=shoppers, draws=200)
    assert min(each.corrected for each in found) >= 0.90
    assert 0.93 <= np.mean([each.corrected for each in found]) <= 0.975
