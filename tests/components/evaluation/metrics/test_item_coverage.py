"""How sure coverage and personalisation are: the jackknife over groups of shoppers, against shops drawn again and again."""

import numpy as np
import pytest

from components.evaluation.metrics.item_coverage import GROUPS, ItemCoverage, jackknife_error, user_groups
from components.evaluation.metrics.metric_accumulator import ITEM_METRICS, RankingSums
from components.evaluation.metrics.standard_errors import change_error_of, error_of, estimates
from tests.components.evaluation.summed import sums

ITEMS, SHOPPERS, LISTS, LENGTH = 600, 250, 3, 12
HASHES = np.random.default_rng(0).integers(0, 2**64, ITEMS, dtype=np.uint64)
POPULARITY = 1 / np.arange(3, ITEMS + 3) ** 0.8


def reached(seed: int, *, noise: float = 1.0) -> ItemCoverage:
    """Shoppers drawn anew, each with a taste that all of his lists are ordered by."""
    rng = np.random.default_rng(seed)
    groups = user_groups(np.repeat(rng.integers(0, 2**64, SHOPPERS, dtype=np.uint64), LISTS))
    chances = np.log(POPULARITY) + rng.gumbel(size=(len(groups), ITEMS))
    shown = np.argpartition(-chances, LENGTH, axis=1)[:, :LENGTH]
    taste = np.repeat(rng.normal(size=(SHOPPERS, ITEMS)), LISTS, axis=0)
    score = np.log(POPULARITY)[shown] + noise * np.take_along_axis(taste, shown, axis=1)
    reach = (np.argsort(np.argsort(-score, axis=1), axis=1) < 5).astype(np.float64)
    return ItemCoverage.from_candidates(HASHES[shown.ravel()], reach.ravel(), row=np.repeat(np.arange(len(groups)), LENGTH), group=groups)


@pytest.fixture(scope="module")
def drawn() -> list[ItemCoverage]:
    return [reached(seed) for seed in range(150)]


@pytest.mark.parametrize(("metric", "place", "widest"), [("coverage", 0, 1.7), ("personalisation", 1, 1.2)])
def test_errors_are_no_smaller_than_fresh_shops_differ_and_intervals_hold_the_truth(
    drawn: list[ItemCoverage], metric: str, place: int, widest: float
) -> None:
    values = np.array([getattr(each, metric) for each in drawn])
    errors = np.array([jackknife_error(each.without_each_group()[place]) for each in drawn])
    assert 0.85 <= errors.mean() / values.std(ddof=1) <= widest
    assert np.mean(np.abs(values - values.mean()) <= 1.96 * errors) >= 0.93


def test_a_bootstrap_would_not_see_what_was_seen() -> None:
    seen = reached(1)
    times = np.random.default_rng(2).poisson(1, (20, GROUPS))
    again = [ItemCoverage(seen.item, seen.group, seen.sums * count[seen.group][:, None], seen.requests * count).coverage for count in times]
    assert max(again) < seen.coverage
    assert abs(np.mean(again) - seen.coverage) > 3 * jackknife_error(seen.without_each_group()[0])


def test_leaving_a_group_out_is_never_having_seen_it() -> None:
    rng = np.random.default_rng(3)
    row, group = np.repeat(np.arange(40), 6), rng.integers(0, GROUPS, 40)
    item, reach = HASHES[rng.integers(0, 50, 240)], rng.choice([0.0, 0.5, 1.0], 240)
    whole = ItemCoverage.from_candidates(item, reach, row=row, group=group)
    coverage, personalisation = whole.without_each_group()
    for i, left_out in enumerate(np.unique(group)):
        kept = np.flatnonzero(group != left_out)
        mine = np.isin(row, kept)
        rest = ItemCoverage.from_candidates(item[mine], reach[mine], row=np.searchsorted(kept, row[mine]), group=group[kept])
        assert (coverage[i], personalisation[i]) == pytest.approx((rest.coverage, rest.personalisation))


def test_the_error_is_that_of_the_formula_and_undefined_for_a_handful_of_groups() -> None:
    without = np.arange(20.0)
    assert jackknife_error(without) == pytest.approx(np.sqrt(19 / 20 * ((without - 9.5) ** 2).sum()))
    assert np.isnan(jackknife_error(without[:15]))
    assert np.isnan(jackknife_error(np.where(without == 3, np.nan, without)))


def test_of_a_mean_it_is_the_error_of_the_mean() -> None:
    values = np.random.default_rng(4).normal(size=(GROUPS, 50))
    means = (values.sum() - values.sum(axis=1)) / (values.size - 50)
    assert jackknife_error(means) == pytest.approx(values.std() / np.sqrt(values.size), rel=0.3)


def test_groups_are_of_like_size_and_a_shopper_is_always_in_his_own() -> None:
    users = np.random.default_rng(5).integers(0, 2**64, 32_000, dtype=np.uint64)
    assert np.bincount(user_groups(users), minlength=GROUPS) == pytest.approx(np.full(GROUPS, 1_000), abs=150)
    assert user_groups(users[7:8])[0] == user_groups(users)[7]


def test_both_have_errors_and_changes_and_a_change_against_itself_is_nothing() -> None:
    rng = np.random.default_rng(6)
    users = np.repeat(rng.integers(0, 2**64, 200, dtype=np.uint64), 2)
    items, nothing = HASHES[rng.integers(0, ITEMS, 400 * LENGTH)], np.zeros(400 * LENGTH, np.float32)

    def model(seed: int) -> RankingSums:
        scores = np.random.default_rng(seed).random(len(items)).astype(np.float32)
        return sums(nothing, scores, gains=nothing, row_lengths=np.full(400, LENGTH), users=users, items=items)

    found = estimates({"challenger": model(1), "champion": model(2)}, baseline="champion")["challenger"]
    same = estimates({"challenger": model(1), "champion": model(1)}, baseline="champion")["challenger"]
    for metric in ITEM_METRICS:
        assert found[error_of(metric)] > 0
        assert found[change_error_of(metric)] > 0
        assert same[change_error_of(metric)] == 0


def test_the_pairs_that_are_kept_are_bounded_and_what_is_told_of_all_is_told_of_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = reached(7)
    monkeypatch.setattr("components.evaluation.metrics.item_coverage.MAX_PAIRS", 3_000)
    few = reached(7)
    assert len(few.item) <= 3_000 < len(everything.item)
    assert few.coverage == pytest.approx(everything.coverage, abs=0.1)
