"""Replicates draw shoppers alike wherever their requests lie, and the standard errors are those of the theory."""

import numpy as np
import pytest

from components.evaluation.metrics.bootstrap import REPLICATES, poisson_counts, standard_error
from components.evaluation.metrics.metric_accumulator import (
    AMOUNT_METRICS,
    BOOTSTRAPPED,
    ESTIMATED,
    ITEM_METRICS,
    METRICS,
    RankingSums,
    Requests,
    listwise_of,
    request_sums,
)
from components.evaluation.metrics.score_histogram import ScoreHistogram
from components.evaluation.metrics.standard_errors import change_error_of, error_of, estimates
from tests.components.evaluation.summed import sums

USERS = np.random.default_rng(1).integers(0, 2**64, 4_000, dtype=np.uint64)


def shop(n: int, *, noise: float = 0.5, seed: int = 0, users: np.ndarray | None = None) -> RankingSums:
    """Requests of ten candidates, clicked by a truth that the scores know with some noise."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=10 * n)
    labels = (rng.random(10 * n) < 1 / (1 + np.exp(1.5 - truth))).astype(np.float32)
    scores = 1 / (1 + np.exp(1.5 - truth - noise * np.random.default_rng(seed + 1).normal(size=10 * n)))
    shoppers = USERS[:n] if users is None else users
    return sums(labels, scores.astype(np.float32), gains=labels, row_lengths=np.full(n, 10), users=shoppers)


def test_counts_are_poisson_and_independent_of_shopper_and_replicate() -> None:
    counts = poisson_counts(USERS).astype(np.float64)
    assert counts.shape == (len(USERS), REPLICATES)
    share = np.bincount(counts.astype(int).ravel(), minlength=6)[:6] / counts.size
    assert share == pytest.approx([np.exp(-1) / f for f in (1, 1, 2, 6, 24, 120)], abs=1.5e-3)
    assert counts.var() == pytest.approx(1, abs=0.01)
    assert np.abs(np.corrcoef(counts.T) - np.eye(REPLICATES)).max() < 0.1
    assert np.abs(np.corrcoef(counts[:200]) - np.eye(200)).max() < 0.4


def test_a_shopper_is_counted_alike_wherever_he_is() -> None:
    counts = poisson_counts(USERS[[5, 7, 5]])
    assert counts[0].tolist() == counts[2].tolist() == poisson_counts(USERS[:9])[5].tolist()


def test_weighted_counts_are_those_of_so_many_candidates() -> None:
    rng = np.random.default_rng(2)
    scores, positive, row = rng.random(60).astype(np.float32), rng.random(60) < 0.4, np.repeat(np.arange(20), 3)
    weights = poisson_counts(USERS[:20])
    plain = ScoreHistogram.from_scores(scores, positive)
    counts = ScoreHistogram.weighted(scores, positive, row=row, weights=weights.astype(np.float32), counts=plain, max_levels=1_000)
    for replicate in (0, 17):
        times = weights[row, replicate]
        again = ScoreHistogram.from_scores(np.repeat(scores, times), np.repeat(positive, times))
        for name in ("auc", "pr_auc"):
            assert getattr(counts, name)[replicate] == pytest.approx(getattr(again, name))


def test_standard_errors_of_means_and_rates_are_those_of_the_theory() -> None:
    n = 2_000
    values = estimates({"m": shop(n)}, baseline=None)["m"]
    rng = np.random.default_rng(0)
    truth = rng.normal(size=10 * n)
    positive = (rng.random(10 * n) < 1 / (1 + np.exp(1.5 - truth))).reshape(n, 10)
    having = positive.any(axis=1).sum()
    p = values["precision_at_1"]
    assert values[error_of("precision_at_1")] == pytest.approx(np.sqrt(p * (1 - p) / having), rel=0.15)


@pytest.mark.parametrize("metric", ["auc", "gauc", "ndcg_at_10", "log_loss", "pr_auc", "gauc_by_user"])
def test_standard_errors_are_how_far_fresh_shops_differ(metric: str) -> None:
    fresh = [shop(600, seed=2 * seed).values()[metric] for seed in range(60)]
    told = np.mean([estimates({"m": shop(600, seed=2 * seed)}, baseline=None)["m"][error_of(metric)] for seed in range(5)])
    assert told == pytest.approx(np.std(fresh, ddof=1), rel=0.3)


def test_shoppers_with_many_requests_make_errors_larger() -> None:
    many = estimates({"m": shop(1_000, users=np.repeat(USERS[:10], 100))}, baseline=None)["m"]
    alone = estimates({"m": shop(1_000)}, baseline=None)["m"]
    assert many["auc"] == alone["auc"]
    same_labels = np.tile(np.repeat([1, 0], 5), 1_000).astype(np.float32)
    noisy = np.random.default_rng(0).random(10_000).astype(np.float32)
    scores = np.where(np.repeat(np.arange(1_000) % 2, 10) > 0, same_labels, noisy).astype(np.float32)
    given = {"gains": same_labels, "row_lengths": np.full(1_000, 10)}
    by_ten = sums(same_labels, scores, users=np.tile(USERS[:10], 100), **given)
    by_all = sums(same_labels, scores, users=USERS[:1_000], **given)
    errors = [estimates({"m": each}, baseline=None)["m"][error_of("gauc")] for each in (by_ten, by_all)]
    assert errors[0] > 5 * errors[1]


def test_blocks_add_up_to_the_same_replicates() -> None:
    parts = [shop(200, seed=2 * seed, users=USERS[100 * seed : 100 * seed + 200]) for seed in range(3)]
    one, other = (parts[0] + parts[1]) + parts[2], parts[2] + (parts[0] + parts[1])
    for name, replicates in one.replicated().items():
        assert replicates == pytest.approx(other.replicated()[name], nan_ok=True), name


def test_a_change_is_known_better_than_the_values_and_that_against_itself_is_nothing() -> None:
    champion, challenger = shop(2_000, noise=0.5), shop(2_000, noise=0.45)
    values = estimates({"challenger": challenger, "champion": champion}, baseline="champion")
    assert 0 < values["challenger"][change_error_of("auc")] < 0.5 * values["challenger"][error_of("auc")]
    assert change_error_of("auc") not in values["champion"]
    same = estimates({"challenger": champion, "champion": champion}, baseline="champion")["challenger"]
    drawn = {change_error_of(metric) for metric in BOOTSTRAPPED if metric not in AMOUNT_METRICS}
    assert {name for name in same if name.endswith("_change_se")} == drawn | set(map(change_error_of, ITEM_METRICS))
    assert {name: same[name] for name in drawn} == dict.fromkeys(drawn, 0.0)


@pytest.mark.parametrize("amounts", [(), ("revenue",), ("quantity", "margin")])
def test_metrics_of_amounts_are_those_of_the_amounts_that_there_are(amounts: tuple[str, ...]) -> None:
    labels, users = np.tile(np.array([1, 0, 0], np.float32), 50), USERS[:50]
    scores = np.random.default_rng(0).random(150).astype(np.float32)
    earned = {name: labels * np.random.default_rng(1).random(150).astype(np.float32) for name in amounts}
    listwise = listwise_of(amounts)
    requests = Requests(labels, scores, labels, np.full(50, 3), users, amounts=earned)
    values = estimates({"m": request_sums(requests, listwise).total()}, baseline=None, listwise=listwise)["m"]
    there = {f"{amount}_at_{k}" for amount in amounts for k in (1, 5, 10)}
    assert {name for name in values if name in METRICS} == {name for name in METRICS if name not in AMOUNT_METRICS or name in there}
    assert {name for name in ESTIMATED if error_of(name) in values} == {n for n in ESTIMATED if n not in AMOUNT_METRICS or n in there}
    assert all(values[error_of(f"{amount}_at_1")] > 0 for amount in amounts)


def test_without_shoppers_nothing_is_told_of_errors() -> None:
    labels = np.array([1, 0], np.float32)
    alone = sums(labels, labels, gains=labels, row_lengths=np.array([2]))
    assert not {error_of(name) for name in ESTIMATED} & set(estimates({"m": alone}, baseline=None)["m"])


def test_an_error_needs_the_metric_in_most_replicates() -> None:
    values = np.full(REPLICATES, np.nan)
    values[: REPLICATES // 2] = np.arange(REPLICATES // 2)
    assert np.isnan(standard_error(values))
    values[REPLICATES // 2] = 1.0
    assert standard_error(values) > 0
