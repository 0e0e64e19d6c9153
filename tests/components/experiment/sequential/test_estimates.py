"""Estimates and intervals hold after looking and stopping; the sample's inflation agrees with published tables."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm

from components.contract.errors import InputError
from components.experiment.sequential.boundaries import critical_values, exit_probabilities
from components.experiment.sequential.confidence_sequence import anytime_critical_value, anytime_interval
from components.experiment.sequential.design import conditional_power, inflation, power
from components.experiment.sequential.estimates import FinalEstimate, final_estimate, repeated_interval
from components.experiment.sequential.spending import Spending

LOOKS = [0.25, 0.5, 0.75, 1.0]


def test_a_single_look_gives_the_usual_interval() -> None:
    estimate = final_estimate(2.0, 1.0, [1.0])
    assert_allclose(
        [estimate.median, estimate.interval.lower, estimate.interval.upper, estimate.p], [2, 0.040036, 3.959964, 0.0455003], atol=1e-6
    )
    interval = repeated_interval(2.0, 1.0, [1.0])
    assert_allclose([interval.lower, interval.upper], [0.040036, 3.959964], atol=1e-6)


def test_estimates_are_symmetrical() -> None:
    up, down = final_estimate(2.1, 0.5, LOOKS), final_estimate(-2.1, 0.5, LOOKS)
    assert_allclose(
        [down.median, down.interval.lower, down.interval.upper, down.p],
        [-up.median, -up.interval.upper, -up.interval.lower, up.p],
        atol=1e-6,
    )


def test_a_z_at_the_last_critical_value_has_the_p_alpha_and_an_interval_that_ends_at_0() -> None:
    z = float(critical_values(LOOKS)[-1])
    estimate = final_estimate(z, 1.0, LOOKS)
    assert_allclose([estimate.p, estimate.interval.lower], [0.05, 0.0], atol=1e-6)


def paths(runs: int, drift: float, seed: int) -> np.ndarray:
    steps = np.diff(LOOKS, prepend=0)
    return np.cumsum(np.random.default_rng(seed).normal(drift * steps, np.sqrt(steps), (runs, 4)), axis=1) / np.sqrt(LOOKS)


def stopped(z: np.ndarray) -> FinalEstimate:
    """Stop at the first critical value; the unit of the effect is the standard error at a share of 1."""
    outside = np.abs(z) >= critical_values(LOOKS)
    k = int(outside.argmax()) if outside.any() else 3
    return final_estimate(z[k] / math.sqrt(LOOKS[k]), 1 / math.sqrt(LOOKS[k]), LOOKS[: k + 1])


@pytest.mark.slow
def test_the_median_is_unbiased_and_the_interval_covers_after_a_stop_where_the_usual_ones_do_not() -> None:
    drift, runs = 2.5, 200
    z = paths(runs, drift, 3)
    estimates = [stopped(each) for each in z]
    assert abs(np.mean([estimate.median > drift for estimate in estimates]) - 0.5) < 3 * math.sqrt(0.25 / runs)
    covered = np.mean([estimate.interval.lower <= drift <= estimate.interval.upper for estimate in estimates])
    assert abs(covered - 0.95) < 3 * math.sqrt(0.05 * 0.95 / runs)


def test_repeated_intervals_cover_at_all_looks_at_once() -> None:
    z = paths(20_000, 0.0, 4)
    z_of_effect = z  # of estimate minus effect: the same whatever the effect
    covered = np.mean((np.abs(z_of_effect) < critical_values(LOOKS)).all(axis=1))
    assert abs(covered - 0.95) < 0.005
    interval = repeated_interval(1.0, 0.5, [0.25])
    assert_allclose([interval.lower, interval.upper], [1 - 0.5 * critical_values([0.25])[0], 1 + 0.5 * critical_values([0.25])[0]])


@pytest.mark.parametrize(
    ("shape", "looks", "constant", "wanted_power", "ratio"),
    [
        (0.0, 2, 2.178, 0.8, 1.110),
        (0.0, 5, 2.413, 0.9, 1.207),
        (0.5, 3, 2.004, 0.8, 1.017),
        (0.5, 5, 2.040, 0.9, 1.026),
    ],
)
def test_the_published_inflation_of_a_sample_gives_the_power(
    shape: float, looks: int, constant: float, wanted_power: float, ratio: float
) -> None:
    """R_P and R_B of Jennison & Turnbull 2000, Tables 2.2 and 2.4: critical values C (K / k)^shape."""
    shares = np.arange(1, looks + 1) / looks
    drift = (norm.isf(0.025) + norm.ppf(wanted_power)) * math.sqrt(ratio)
    stops = exit_probabilities(shares.tolist(), (constant * shares**-shape).tolist(), drift=drift)
    assert_allclose(stops.upper.sum(), wanted_power, atol=5e-4)


@pytest.mark.parametrize("spending", ["obrien-fleming", "pocock"])
def test_a_sample_with_its_inflation_has_the_power_wanted(spending: Spending) -> None:
    ratio = inflation(LOOKS, wanted_power=0.8, spending=spending)
    assert 1 < ratio < 1.25
    assert_allclose(power(LOOKS, (norm.isf(0.025) + norm.ppf(0.8)) * math.sqrt(ratio), spending=spending), 0.8, atol=1e-4)
    assert_allclose(inflation([1.0], spending=spending), 1.0, atol=1e-5)


def test_power_is_that_of_the_fixed_test_at_one_look_and_a_little_less_at_fifty() -> None:
    drift = 1.959964 + 1.554774  # a power of 0.94
    assert_allclose(power([1.0], drift), 0.94, atol=1e-5)
    assert 0.92 < power([k / 50 for k in range(1, 51)], drift) < 0.94
    assert power(LOOKS, drift) == power(LOOKS, -drift)


def test_conditional_power_at_the_end_of_hope_and_of_doubt() -> None:
    assert_allclose(conditional_power(1.96, 0.5, drift=0.0, critical=1.96), 0.20847, atol=1e-4)  # 1 - Phi((1.96 - 1.386) / 0.7071)
    assert conditional_power(5.0, 0.99, drift=0.0, critical=1.96) > 0.999


def test_anytime_values_are_narrowest_at_the_plan_and_never_crossed_by_chance_too_often() -> None:
    width = [anytime_critical_value(share) for share in (0.02, 0.5, 1.0, 2.0)]
    assert min(width) == width[2]
    assert_allclose(width[2], 3.0351, atol=1e-4)  # V = 9.21 = log(1 + V) + 2 log(20), so z^2 = (1 + 1 / V) V = 1 + V
    steps = np.random.default_rng(5).normal(size=(4_000, 500)) * math.sqrt(1 / 250)
    shares = np.arange(1, 501) / 250
    z = np.cumsum(steps, axis=1) / np.sqrt(shares)
    crossed = (np.abs(z) >= [anytime_critical_value(share) for share in shares]).any(axis=1).mean()
    assert 0.01 < crossed < 0.05
    assert anytime_interval(1.0, 0.5, 1.0).upper == 1 + 0.5 * width[2]


@pytest.mark.parametrize("std_error", [0.0, -1.0, float("nan"), float("inf")])
def test_a_standard_error_that_is_none_is_refused(std_error: float) -> None:
    for compute in (repeated_interval, final_estimate):
        with pytest.raises(InputError, match="a positive standard error"):
            compute(1.0, std_error, [1.0])


def test_arguments_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="alpha between 0 and 1"):
        anytime_critical_value(0.5, 1.0)
    with pytest.raises(InputError, match="positive share"):
        anytime_critical_value(0.0)
    with pytest.raises(InputError, match="expected a power above"):
        inflation([1.0], wanted_power=1.0)
