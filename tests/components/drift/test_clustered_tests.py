import numpy as np
import pytest
from scipy import stats

from components.drift.comparison.clustered_tests import Windows, mean_change, shares_change

GROUPS, CELLS, DAYS = 64, 6, 10
SCORES = (np.arange(CELLS) + 0.5) / CELLS
EDGES = stats.norm.ppf(np.arange(1, CELLS) / CELLS)


def counts(rng: np.random.Generator, *, shoppers: int, by_shopper: float, by_day: float, days: int, shift: float = 0.0) -> tuple:
    """20 rows a shopper of a normal variable with these variances of shoppers and days, cut into cells."""
    group, mean = rng.integers(0, GROUPS, shoppers), rng.normal(0, np.sqrt(by_shopper), shoppers)
    owner, day = np.repeat(np.arange(shoppers), 20), rng.integers(0, days, 20 * shoppers)
    values = mean[owner] + np.sqrt(1 - by_shopper) * rng.normal(size=len(owner)) + rng.normal(0, np.sqrt(by_day), days)[day] + shift
    cell = np.searchsorted(EDGES, values)
    groups, of_days = np.zeros((GROUPS, CELLS)), np.zeros((days, CELLS))
    np.add.at(groups, (group[owner], cell), 1)
    np.add.at(of_days, (day, cell), 1)
    return groups, of_days


def drawn(rng: np.random.Generator, *, by_shopper: float, by_day: float, shift: float = 0.0) -> Windows:
    reference, of_days = counts(rng, shoppers=600, by_shopper=by_shopper, by_day=by_day, days=DAYS)
    window, _ = counts(rng, shoppers=120, by_shopper=by_shopper, by_day=by_day, days=2, shift=shift)
    return Windows(reference, window, of_days, np.arange(DAYS), np.array([DAYS, DAYS + 1]))


@pytest.mark.parametrize(("by_shopper", "by_day"), [(0.0, 0.0), (0.5, 0.0), (0.0, 0.03), (0.3, 0.01)])
def test_windows_of_one_distribution_differ_at_most_as_often_as_promised(by_shopper: float, by_day: float) -> None:
    rng = np.random.default_rng(1)
    p = np.array(
        [
            (mean_change(each, SCORES).p, shares_change(each))
            for each in (drawn(rng, by_shopper=by_shopper, by_day=by_day) for _ in range(400))
        ]
    )
    bound = stats.binom.ppf(0.999, 400, 0.05) / 400
    assert ((p < 0.05).mean(axis=0) <= bound).all()


def test_pearsons_test_takes_rows_of_a_shopper_for_independent_and_alarms() -> None:
    rng = np.random.default_rng(1)
    windows = [drawn(rng, by_shopper=0.5, by_day=0.0) for _ in range(100)]
    p = [stats.chi2_contingency([each.reference.sum(axis=0), each.window.sum(axis=0)]).pvalue for each in windows]
    assert np.mean(np.array(p) < 0.05) > 0.5


def test_independent_rows_give_about_pearsons_p_value() -> None:
    rng = np.random.default_rng(3)
    for _ in range(5):
        each = drawn(rng, by_shopper=0.0, by_day=0.0, shift=0.05)
        without_days = Windows(each.reference, each.window, each.by_day[:1], each.days[:1], each.window_days)
        pearson = stats.chi2_contingency([each.reference.sum(axis=0), each.window.sum(axis=0)]).pvalue
        assert shares_change(without_days) == pytest.approx(pearson, rel=0.8, abs=0.02)


def test_a_shift_is_found() -> None:
    windows = drawn(np.random.default_rng(4), by_shopper=0.1, by_day=0.0, shift=0.3)
    assert mean_change(windows, SCORES).p < 1e-6
    assert shares_change(windows) < 1e-6


def test_a_line_that_the_reference_follows_already_is_no_change_and_leaving_it_is() -> None:
    rng = np.random.default_rng(5)
    days = np.stack([np.array([1_000 - 30 * day, 1_000 + 30 * day]) + rng.integers(-20, 20, 2) for day in range(12)]).astype(float)
    reference = np.tile(days.sum(axis=0) / GROUPS, (GROUPS, 1)) + rng.normal(0, 3, (GROUPS, 2))
    on_line = np.tile(np.array([1_000 - 30 * 12, 1_000 + 30 * 12]) / GROUPS, (GROUPS, 1)) + rng.normal(0, 0.3, (GROUPS, 2))
    score = np.array([0.0, 1.0])
    assert mean_change(Windows(reference, on_line, days, np.arange(12), np.array([12])), score).p > 0.05
    stayed = np.tile(days[5] / GROUPS, (GROUPS, 1)) + rng.normal(0, 0.3, (GROUPS, 2))
    assert mean_change(Windows(reference, stayed, days, np.arange(12), np.array([12])), score).p < 1e-3


def test_a_line_that_leaves_the_scores_ends_at_their_edge() -> None:
    days = np.stack([np.array([1_000 - 100 * day, 100 * day]) for day in range(8)]).astype(float)
    reference = np.tile(days.sum(axis=0) / GROUPS, (GROUPS, 1))
    window = np.tile([0.0, 10.0], (GROUPS, 1))
    change = mean_change(Windows(reference, window, days, np.arange(8), np.array([14])), np.array([0.0, 1.0]))
    assert change.reference == 1.0
    assert change.difference == 0.0


def test_equal_constants_dont_differ_and_different_ones_surely_do() -> None:
    all_first, all_second = np.tile([5.0, 0.0], (GROUPS, 1)), np.tile([0.0, 5.0], (GROUPS, 1))
    few_days = np.zeros((0, 2)), np.zeros(0, np.int64), np.array([1])
    score = np.array([0.0, 1.0])
    assert mean_change(Windows(all_first, all_first, *few_days), score).p == 1.0
    assert shares_change(Windows(all_first, all_first, *few_days)) == 1.0
    assert mean_change(Windows(all_first, all_second, *few_days), score).p == 0.0
    assert shares_change(Windows(all_first, all_second, *few_days)) == 0.0
