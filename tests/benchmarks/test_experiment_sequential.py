"""Looking at every day of an experiment: alpha is kept by spending and anytime, and isn't by the fixed value."""

import math

import numpy as np
import pytest

from benchmarks.experiment.sequential import ALPHA, ANYTIME, FIXED, NAIVE, OBRIEN_FLEMING, POCOCK, Sample, rules, simulated

RUNS = 400
SAMPLE = Sample(shoppers=500, looks=25)


def rejected(z: np.ndarray, rule: str) -> float:
    """The share of runs that reject at any look, of the metric for which it is greater."""
    return float((np.abs(z) >= rules(SAMPLE.shares())[rule]).any(axis=2).mean(axis=0).max())


@pytest.mark.slow
def test_looking_early_is_safe_by_spending_and_anytime_and_costs_little_power() -> None:
    none, some = simulated(SAMPLE, 0.0, runs=RUNS, seed=1), simulated(SAMPLE, 0.5, runs=RUNS, seed=2)
    most = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / RUNS)
    assert rejected(none, NAIVE) > 0.2
    for rule in (OBRIEN_FLEMING, POCOCK, ANYTIME):
        assert rejected(none, rule) < most
    fixed, spending = ((np.abs(some[:, 0]) >= rules(SAMPLE.shares())[rule]).any(axis=1).mean() for rule in (FIXED, OBRIEN_FLEMING))
    assert 0.5 < fixed < 1
    assert spending > fixed - 0.03


def test_the_expected_share_of_lists_is_that_of_simulated_visits() -> None:
    shares = SAMPLE.shares()
    assert shares[-1] == pytest.approx(1.0)
    rng = np.random.default_rng(0)
    arrival = rng.integers(SAMPLE.looks, size=200_000)
    later = arrival + np.floor(rng.random(200_000) * (SAMPLE.looks - arrival))
    day = 9
    assert shares[day] == pytest.approx(((arrival <= day).mean() + 4 * (later <= day).mean()) / 5, abs=0.003)
