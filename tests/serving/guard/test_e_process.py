"""The evidence: by hand, and that nobody can expect to win where nothing is wrong."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import binom

from serving.guard.e_process import SHRINKAGE, Counts, NullHypothesis, _project, log_growth


def pairs(a: tuple[int, int], b: tuple[int, int]) -> Counts:
    """(successes, trials) of a and of b."""
    return Counts(*(np.float64(number) for number in (*a, *b)))


def plus(one: Counts, other: Counts) -> Counts:
    return Counts(*(getattr(one, name) + getattr(other, name) for name in ("hits_a", "trials_a", "hits_b", "trials_b")))


def test_a_block_by_hand() -> None:
    """After 30 of 100 and 10 of 100, the common rate (40.5 / 201) weighing 100: rates (30 + 100 r) / 200 and (10 + 100 r) / 200."""
    assert SHRINKAGE == 100
    r = 40.5 / 201
    a, b = (30 + 100 * r) / 200, (10 + 100 * r) / 200
    middle = (2 * a + 6 * b) / 8
    won = math.log(a / middle) + math.log((1 - a) / (1 - middle)) + 6 * math.log((1 - b) / (1 - middle))
    assert log_growth(pairs((30, 100), (10, 100)), pairs((1, 2), (0, 6)), NullHypothesis()) == pytest.approx(won)


def test_the_first_block_is_no_bet_and_neither_is_one_for_an_estimate_within_the_null() -> None:
    nothing = pairs((0, 0), (0, 0))
    assert log_growth(nothing, pairs((50, 50), (0, 50)), NullHypothesis()) == 0
    assert log_growth(pairs((10, 100), (30, 100)), pairs((50, 50), (0, 50)), NullHypothesis()) == 0


@pytest.mark.parametrize(
    "border", [NullHypothesis(ratio=0.9), NullHypothesis(shift=0.05), NullHypothesis(shift=-0.05), NullHypothesis(ratio=1.2, shift=-0.1)]
)
def test_the_projection_is_where_the_expected_likelihood_is_greatest(border: NullHypothesis) -> None:
    block = pairs((0, 30), (0, 70))
    found = float(_project(np.float64(0.3), np.float64(0.2), block, border))
    grid = np.linspace(0.0001, 0.9999, 200_001)
    a = border.ratio * grid + border.shift
    within = (a > 0) & (a < 1)
    grid, a = grid[within], a[within]
    likelihood = 30 * (0.3 * np.log(a) + 0.7 * np.log(1 - a)) + 70 * (0.2 * np.log(grid) + 0.8 * np.log(1 - grid))
    assert found == pytest.approx(grid[np.argmax(likelihood)], abs=1e-5)


@pytest.mark.parametrize("border", [NullHypothesis(), NullHypothesis(ratio=0.9), NullHypothesis(shift=-0.02), NullHypothesis(shift=0.1)])
@pytest.mark.parametrize("sizes", [(1, 1), (3, 2), (2, 9), (4, 0), (0, 4)])
@pytest.mark.parametrize("before", [((9, 10), (1, 10)), ((60, 300), (40, 300)), ((3, 50), (0, 5000)), ((50, 60), (5, 6))])
def test_under_the_null_nobody_can_expect_to_win(
    border: NullHypothesis, sizes: tuple[int, int], before: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    """The expectation of a block's factor, summed over all its outcomes, at rates on the border and inside: never above 1."""
    m, n = sizes
    outcomes = np.array(list(itertools.product(range(m + 1), range(n + 1))), np.float64)
    full = np.ones(len(outcomes))
    block = Counts(outcomes[:, 0], m * full, outcomes[:, 1], n * full)
    seen = Counts(*(full * number for number in (*before[0], *before[1])))
    factor = np.exp(log_growth(seen, block, border))
    for b in (0.001, 0.01, 0.1, 0.3, 0.5, 0.9, 0.999):
        for inside in (0.0, 0.01, 0.2):
            a = min(1.0, border.ratio * b + border.shift) - inside
            if 0 <= a <= 1:
                chance = binom.pmf(outcomes[:, 0], m, a) * binom.pmf(outcomes[:, 1], n, b)
                assert chance @ factor <= 1 + 1e-12


def test_with_a_look_after_every_request_false_alarms_stay_below_alpha() -> None:
    """2,000 looks in each of 1,000 runs at alpha = 0.05. Were each look a z-test of its own, most runs would end in alarm."""
    rng = np.random.default_rng(0)
    one, nothing = np.ones(1000), np.zeros(1000)
    seen, capital, greatest, z_alarm = Counts(nothing, nothing, nothing, nothing), nothing, nothing, nothing > 0
    for _ in range(2000):
        block = Counts((rng.random(1000) < 0.3) * one, one, (rng.random(1000) < 0.3) * one, one)
        capital = capital + log_growth(seen, block, NullHypothesis())
        greatest, seen = np.maximum(greatest, capital), plus(seen, block)
        common = (seen.hits_a + seen.hits_b) / (seen.trials_a + seen.trials_b)
        spread = np.sqrt(np.maximum(common * (1 - common), 1e-9) * (1 / seen.trials_a + 1 / seen.trials_b))
        z_alarm |= (seen.hits_a / seen.trials_a - seen.hits_b / seen.trials_b) / spread > 1.645
    assert np.mean(greatest >= np.log(1 / 0.05)) <= 0.05
    assert np.mean(z_alarm) > 0.3


def test_where_the_rates_differ_the_capital_grows() -> None:
    rng = np.random.default_rng(0)
    seen, capital = pairs((0, 0), (0, 0)), 0.0
    for _ in range(100):
        block = pairs((int(rng.binomial(50, 0.2)), 50), (int(rng.binomial(50, 0.1)), 50))
        capital += float(log_growth(seen, block, NullHypothesis()))
        seen = plus(seen, block)
    assert capital > 20


def test_several_tests_at_once_are_each_by_itself() -> None:
    one, two = pairs((30, 100), (10, 100)), pairs((20, 90), (30, 80))
    both = Counts(*(np.array([getattr(one, name), getattr(two, name)]) for name in ("hits_a", "trials_a", "hits_b", "trials_b")))
    for border in (NullHypothesis(), NullHypothesis(ratio=0.9)):
        assert log_growth(both, both, border).tolist() == [float(log_growth(each, each, border)) for each in (one, two)]
