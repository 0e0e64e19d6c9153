"""Shrinkage: James-Stein by hand, the posterior against brute force, and the interval of what was shipped against planted truth."""

import numpy as np
import pytest

from benchmarks.roi.coverage import measure
from components.experiment.roi.shrinkage import james_stein, posterior_draws


def test_james_stein_of_equal_errors_is_efron_and_morris() -> None:
    effects = np.array([3.0, 1.0, 1.0, 1.0, 2.0, 0.0])  # sum of squares 16, so the factor is 1 - 4 / 16
    assert james_stein(effects, np.ones(6)) == pytest.approx(0.75 * effects)
    assert james_stein(10 * effects, np.full(6, 10.0)) == pytest.approx(7.5 * effects)


def test_james_stein_never_turns_a_sign() -> None:
    assert james_stein(np.full(6, 0.5), np.ones(6)).tolist() == [0.0] * 6


def test_james_stein_shrinks_a_noisy_effect_by_more() -> None:
    shrunk = james_stein(np.full(6, 2.0), np.array([0.5, 1, 1, 1, 1, 2.0]))
    assert 0 < shrunk[5] < shrunk[1] < shrunk[0] < 2


def test_james_stein_needs_six_effects() -> None:
    with pytest.raises(ValueError, match="at least 6"):
        james_stein(np.ones(5), np.ones(5))


def test_the_posterior_is_the_priors_draws_weighted_by_their_likelihood() -> None:
    effects, errors = np.array([2.5, -0.5, 0.3]), np.array([1.0, 0.8, 1.2])
    rng = np.random.default_rng(1)
    number, scale = 1_000_000, np.sqrt(np.mean(errors**2))
    tau = 2 * scale * np.abs(rng.standard_cauchy((number, 1)))
    theta = 0.5 * tau * rng.standard_normal((number, 1)) + tau * rng.standard_t(2, (number, 3))
    weight = np.exp(-0.5 * (((effects - theta) / errors) ** 2).sum(1))
    weight /= weight.sum()
    expected = (weight[:, None] * theta).sum(0)
    spread = np.sqrt((weight[:, None] * (theta - expected) ** 2).sum(0))
    draws = posterior_draws(effects, errors, draws=40_000)
    assert draws.mean(0) == pytest.approx(expected, abs=0.04)
    assert draws.std(0) == pytest.approx(spread, abs=0.04)


def test_the_unit_of_effects_doesnt_matter_and_the_seed_decides() -> None:
    effects, errors = np.array([2.5, -0.5]), np.array([1.0, 0.8])
    draws = posterior_draws(effects, errors, draws=1000)
    assert posterior_draws(1000 * effects, 1000 * errors, draws=1000) == pytest.approx(1000 * draws)
    assert (posterior_draws(effects, errors, draws=1000) == draws).all()
    assert (posterior_draws(effects, errors, draws=1000, seed=1) != draws).any()


def test_a_lone_great_success_is_hardly_shrunk_and_a_small_one_is() -> None:
    small = [2.0, 0.1, -0.3, 0.5, -0.8, 0.2, 0.0, -0.1, 0.4]
    assert posterior_draws(np.array([30.0, *small]), np.ones(10)).mean(0)[0] > 29
    assert 0 < posterior_draws(np.array(small), np.ones(9)).mean(0)[0] < 1.5


@pytest.mark.parametrize("arms", [1, 2, 100])
def test_any_number_of_arms_is_taken(arms: int) -> None:
    draws = posterior_draws(np.full(arms, 2.0), np.ones(arms), draws=500)
    assert draws.shape == (500, arms)
    assert np.isfinite(draws).all()
    assert 0 < draws.mean() < 2.2


@pytest.mark.slow
@pytest.mark.parametrize(("prior", "mean", "spread"), [("light", 0.0, 0.01), ("heavy", 0.0, 0.01), ("heavy", 0.01, 0.02)])
def test_the_interval_holds_the_planted_total_of_what_was_shipped(prior: str, mean: float, spread: float) -> None:
    row = measure(prior, mean, spread, programmes=200, seed=0)
    assert 0.93 <= row.coverage <= 0.975
    assert row.naive_coverage < 0.9
    assert abs(row.bias) < 0.35 * row.naive_bias
