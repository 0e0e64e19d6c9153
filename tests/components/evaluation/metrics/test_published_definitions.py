"""Every metric by hand on one small shop, and against the definitions of TF-Ranking and scikit-learn on random ones.

TF-Ranking's (Pasumarthi et al. 2019, "TF-Ranking: scalable TensorFlow library for learning-to-rank"; metrics_impl.py), restated, with
rel_i the relevance of the candidate at place i from 1, and means over the lists that have a relevant one:

    Precision@k    sum over i <= k of rel_i, over k
    MRR            1 / the place of the first relevant one
    MAP            sum of rel_i * Precision@i, over the number of relevant ones
    NDCG@k         DCG@k over the best possible, DCG@k = sum over i <= k of (2^gain_i - 1) / log2(1 + i)

The gain of its NDCG is 2^label - 1; here it is the dataset file's, so the test hands that in as one.
"""

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from components.evaluation.metrics.metric_accumulator import AMOUNT_METRICS, METRICS, Requests, request_sums
from tests.components.evaluation.summed import sums

LOG3 = math.log2(3)


def test_every_metric_of_a_shop_worked_by_hand() -> None:
    # Shopper 1: a list of three with its positive (gain 2) second, and one of two that are tied, one positive (gain 1).
    # Shopper 2: a list of two without a positive.
    labels = np.array([0, 1, 0, 1, 0, 0, 0], np.float32)
    scores = np.array([0.8, 0.6, 0.4, 0.5, 0.5, 0.2, 0.1], np.float32)
    found = sums(
        labels,
        scores,
        gains=labels * np.array([0, 2, 0, 1, 0, 0, 0], np.float32),
        row_lengths=np.array([3, 2, 2]),
        users=np.array([1, 1, 2], np.uint64),
        items=np.array([1, 2, 3, 1, 2, 1, 3], np.uint64),
    ).values()
    expected = {
        "requests": 3,
        "impressions": 7,
        "positives": 2,
        "requests_without_positive": 1,
        "invalid_scores": 0,
        "shoppers": 2,
        "shoppers_without_positive": 1,
        "effective_shoppers": (2 + 0) ** 2 / (2**2 + 0**2),
        "auc": (4 + 3.5) / 10,  # 0.6 beats four of five negatives, 0.5 three and ties with one
        "pr_auc": (1 / 2) * (1 / 2) + (1 / 2) * (2 / 4),  # at 0.6 one of two taken, at 0.5 two of four
        "ece": (0.1 + 0.2 + 0.4 + abs(2 * 0.5 - 1) + abs(0.6 - 1) + 0.8) / 7,  # six scores, each in a bin of its own
        "auc_error": 0,
        "log_loss": -(math.log(0.2) + 2 * math.log(0.6) + 2 * math.log(0.5) + math.log(0.8) + math.log(0.9)) / 7,
        "calibration": 3.1 / 2,
        "gauc_by_user": (2 + 1.5) / 6,  # the second shopper has no positive
        "gauc": (3 * 1 / 2 + 2 * 1 / 2) / 5,
        "precision_at_1": (0 + 1 / 2) / 2,
        "precision_at_5": 1 / 5,
        "precision_at_10": 1 / 10,
        "recall_at_1": (0 + 1 / 2) / 2,
        "recall_at_5": 1,
        "recall_at_10": 1,
        "hit_rate_at_5": 1,
        "hit_rate_at_10": 1,
        "ndcg_at_5": (1 / LOG3 + (1 + 1 / LOG3) / 2) / 2,
        "ndcg_at_10": (1 / LOG3 + (1 + 1 / LOG3) / 2) / 2,
        "map": (1 / 2 + (1 + 1 / 2) / 2) / 2,
        "mrr": (1 / 2 + (1 + 1 / 2) / 2) / 2,
        "coverage_at_5": 1,
        "personalisation_at_5": 1 - (3 * 2 + 2 * 1 + 2 * 1) / ((3 + 2 + 2) * 2),
    }
    assert set(expected) == set(METRICS) - set(AMOUNT_METRICS)  # of these see test_ranking_sums
    assert found == pytest.approx(expected, abs=1e-6)


def test_without_a_positive_what_is_told_of_lists_is_undefined_and_what_is_told_of_scores_is_not() -> None:
    nothing = np.zeros(4, np.float32)
    found = sums(nothing, np.array([0.1, 0.2, 0.3, 0.4], np.float32), gains=nothing, row_lengths=np.array([2, 2])).values()
    undefined = {name for name, value in found.items() if math.isnan(value)}
    assert {"auc", "pr_auc", "gauc", "map", "mrr", "ndcg_at_10", "precision_at_1", "recall_at_5", "hit_rate_at_5"} <= undefined
    assert found["log_loss"] == pytest.approx(-np.mean(np.log1p(-np.array([0.1, 0.2, 0.3, 0.4]))), rel=1e-6)


def in_order(values: np.ndarray, scores: np.ndarray) -> np.ndarray:
    return values[np.argsort(-scores)]


def precision(relevant: np.ndarray, k: int) -> float:
    return sum(relevant[:k]) / k


def mean_reciprocal_rank(relevant: np.ndarray) -> float:
    return next(1 / place for place, rel in enumerate(relevant, 1) if rel)


def mean_average_precision(relevant: np.ndarray) -> float:
    return sum(rel * precision(relevant, place) for place, rel in enumerate(relevant, 1)) / sum(relevant)


def dcg(gains: np.ndarray, k: int) -> float:
    return sum((2**gain - 1) / math.log2(1 + place) for place, gain in enumerate(gains[:k], 1))


@pytest.mark.parametrize("seed", range(10))
def test_lists_are_judged_as_tf_ranking_defines(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 25, 40)  # shorter and longer than any k
    lists = [(rng.integers(0, 4, n) * (rng.random(n) < 0.4), rng.permutation(n) / n) for n in lengths]
    grades, scores = (np.concatenate([each[i] for each in lists]) for i in (0, 1))
    gains = (2.0**grades - 1).astype(np.float32)
    found = sums((grades > 0).astype(np.float32), scores.astype(np.float32), gains=gains, row_lengths=lengths).values()
    relevant = [(in_order(grade, score) > 0, in_order(grade, score)) for grade, score in lists if grade.any()]
    expected = {f"precision_at_{k}": np.mean([precision(rel, k) for rel, _ in relevant]) for k in (1, 5, 10)}
    expected |= {f"ndcg_at_{k}": np.mean([dcg(grade, k) / dcg(np.sort(grade)[::-1], k) for _, grade in relevant]) for k in (5, 10)}
    expected["map"] = np.mean([mean_average_precision(rel) for rel, _ in relevant])
    expected["mrr"] = np.mean([mean_reciprocal_rank(rel) for rel, _ in relevant])
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("levels", [3, 50, 10**6])
def test_scores_are_judged_as_scikit_learn_does_with_and_without_ties(levels: int) -> None:
    rng = np.random.default_rng(levels)
    scores = (rng.integers(1, levels, 3_000) / levels).astype(np.float32)
    labels = (rng.random(3_000) < scores).astype(np.float32)
    found = sums(labels, scores, gains=labels, row_lengths=np.full(300, 10)).values()
    assert found["auc"] == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert found["pr_auc"] == pytest.approx(average_precision_score(labels, scores), abs=1e-12)
    assert found["log_loss"] == pytest.approx(log_loss(labels, scores.astype(np.float64)), rel=1e-6)


def test_a_metric_beyond_the_end_of_every_list_is_that_of_the_whole_lists() -> None:
    labels, scores = np.array([1, 0, 0, 1, 1], np.float32), np.array([0.1, 0.9, 0.5, 0.3, 0.8], np.float32)
    block = request_sums(Requests(labels, scores, labels, np.array([2, 3])), ("recall_at_3", "recall_at_99", "ndcg_at_3", "ndcg_at_99"))
    found = block.total().values(("recall_at_3", "recall_at_99", "ndcg_at_3", "ndcg_at_99"))
    assert found["recall_at_99"] == found["recall_at_3"] == 1
    assert found["ndcg_at_99"] == found["ndcg_at_3"] < 1
