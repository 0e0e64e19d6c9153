"""The definitions, against numbers worked by hand and against scikit-learn."""

import math
from itertools import permutations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, ndcg_score, roc_auc_score

from components.evaluation.metrics.definitions import (
    average_precision,
    hit_rate_at_k,
    ndcg_at_k,
    precision_at_k,
    recall_at_k,
    reciprocal_rank,
    request_auc,
)


def test_precision_counts_positives_among_the_first_k() -> None:
    labels, scores = [1, 0, 1, 0], [0.1, 0.9, 0.8, 0.2]
    assert precision_at_k(labels, scores, k=1) == 0
    assert precision_at_k(labels, scores, k=2) == 1 / 2
    assert precision_at_k(labels, scores, k=3) == 1 / 3


def test_precision_beyond_the_end_of_the_list_still_divides_by_k() -> None:
    assert precision_at_k([1, 1], [0.3, 0.4], k=5) == 2 / 5


def test_precision_shares_a_place_among_tied_candidates() -> None:
    # One place is left for three tied candidates, one of them positive.
    assert precision_at_k([0, 1, 0, 0], [0.9, 0.5, 0.5, 0.5], k=2) == pytest.approx(1 / 3 / 2)


def test_recall_counts_the_positives_that_were_found() -> None:
    labels, scores = [1, 0, 1, 0], [0.1, 0.9, 0.8, 0.2]
    assert [recall_at_k(labels, scores, k=k) for k in (1, 2, 3, 9)] == [0, 1 / 2, 1 / 2, 1]
    assert recall_at_k([0, 1, 0, 0], [0.9, 0.5, 0.5, 0.5], k=2) == pytest.approx(1 / 3)
    assert math.isnan(recall_at_k([0, 0], [0.1, 0.2], k=1))


def test_hit_rate_is_the_probability_of_a_positive_among_the_first_k() -> None:
    labels, scores = [0, 1, 1, 0], [0.9, 0.5, 0.5, 0.5]
    # One, two, three places are left for three tied candidates, two of them positive.
    assert [hit_rate_at_k(labels, scores, k=k) for k in (1, 2, 3, 9)] == [0, pytest.approx(2 / 3), 1, 1]
    assert hit_rate_at_k([0, 1, 0, 0], [0.9, 0.5, 0.5, 0.5], k=3) == pytest.approx(2 / 3)
    assert math.isnan(hit_rate_at_k([0, 0], [0.1, 0.2], k=1))


def test_average_precision_of_worked_examples() -> None:
    assert average_precision([1, 0, 1, 0], [0.8, 0.9, 0.2, 0.1]) == pytest.approx((1 / 2 + 2 / 3) / 2)
    # Orders of the tied pair: (positive, negative) gives 1, the other 1 / 2.
    assert average_precision([1, 0], [0.5, 0.5]) == pytest.approx((1 + 1 / 2) / 2)
    assert math.isnan(average_precision([0, 0], [0.1, 0.2]))


def test_ndcg_of_a_worked_example() -> None:
    # Order by score: gains 1, 0, 3; best: 3, 1, 0.
    dcg, ideal = 1 / math.log2(2) + 3 / math.log2(4), 3 / math.log2(2) + 1 / math.log2(3)
    assert ndcg_at_k([3, 1, 0], [0.1, 0.9, 0.5], k=3) == pytest.approx(dcg / ideal)
    assert ndcg_at_k([3, 1, 0], [0.1, 0.9, 0.5], k=2) == pytest.approx(1 / ideal)
    assert ndcg_at_k([3, 1, 0], [0.1, 0.9, 0.5], k=1) == 1 / 3


def test_ndcg_without_gain_is_undefined_and_with_the_best_order_1() -> None:
    assert math.isnan(ndcg_at_k([0, 0], [0.1, 0.2], k=5))
    assert ndcg_at_k([0, 5, 1], [0.1, 0.9, 0.5], k=10) == 1


def test_auc_counts_pairs_and_ties_by_half() -> None:
    # Pairs (positive, negative): 0.5 > 0.4, 0.5 < 0.9, 0.4 = 0.4, 0.4 < 0.9.
    assert request_auc([1, 0, 1, 0], [0.5, 0.4, 0.4, 0.9]) == (1 + 1 / 2) / 4
    assert math.isnan(request_auc([1, 1], [0.5, 0.4]))
    assert math.isnan(request_auc([0, 0], [0.5, 0.4]))


def test_reciprocal_rank_of_the_first_positive() -> None:
    assert reciprocal_rank([0, 1, 1], [0.9, 0.8, 0.1]) == 1 / 2
    assert math.isnan(reciprocal_rank([0, 0], [0.9, 0.8]))
    # A positive tied with one negative behind one candidate: place 2 or 3.
    assert reciprocal_rank([0, 1, 0], [0.9, 0.5, 0.5]) == pytest.approx((1 / 2 + 1 / 3) / 2)


@pytest.mark.parametrize("scores", [(1, 1, 1, 1), (2, 1, 1, 1), (2, 2, 1, 1), (2, 1, 1, 0)])
def test_ties_are_worth_the_mean_over_all_orders(scores: tuple[int, ...]) -> None:
    labels, gains = np.array([0, 1, 1, 0]), np.array([0, 3, 1, 0])
    orders = [np.array(order) for order in permutations(range(4)) if list(np.take(scores, order)) == sorted(scores, reverse=True)]

    def mean(metric: object) -> float:
        return float(np.mean([metric(order) for order in orders]))  # type: ignore[operator]

    falling = -np.arange(4)
    assert precision_at_k(labels, scores, k=2) == pytest.approx(mean(lambda order: precision_at_k(labels[order], falling, k=2)))
    assert ndcg_at_k(gains, scores, k=3) == pytest.approx(mean(lambda order: ndcg_at_k(gains[order], falling, k=3)))
    assert reciprocal_rank(labels, scores) == pytest.approx(mean(lambda order: reciprocal_rank(labels[order], falling)))
    assert request_auc(labels, scores) == pytest.approx(mean(lambda order: request_auc(labels[order], falling)))
    assert average_precision(labels, scores) == pytest.approx(mean(lambda order: average_precision(labels[order], falling)))
    for k in (1, 2, 3):
        assert recall_at_k(labels, scores, k=k) == pytest.approx(mean(lambda order, k=k: recall_at_k(labels[order], falling, k=k)))
        assert hit_rate_at_k(labels, scores, k=k) == pytest.approx(mean(lambda order, k=k: hit_rate_at_k(labels[order], falling, k=k)))


@pytest.mark.parametrize("seed", range(20))
def test_agrees_with_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    gains = rng.integers(0, 4, 12).astype(np.float64)
    gains[:2] = 0, 1
    scores = rng.integers(0, 6, 12) / 6  # many ties
    assert request_auc(gains > 0, scores) == pytest.approx(roc_auc_score(gains > 0, scores))
    distinct = rng.permutation(12) / 12  # scikit-learn takes tied candidates as one step
    assert average_precision(gains, distinct) == pytest.approx(average_precision_score(gains > 0, distinct))
    for k in (1, 5, 10):
        assert ndcg_at_k(gains, scores, k=k) == pytest.approx(ndcg_score([gains], [scores], k=k))
