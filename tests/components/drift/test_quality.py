import math

import numpy as np
import pytest

from components.drift.comparison.quality_changes import quality_changes
from components.drift.sketch.quality_sums import OVERALL, SUMS, QualitySums, RankedLists, request_sums


def lists(*requests: tuple[list[float], list[float]], day: int = 0, shoppers: list[int] | None = None) -> RankedLists:
    return RankedLists(
        np.array(shoppers or range(len(requests)), np.uint64),
        np.full(len(requests), day * 86_400_000_000, np.int64),
        np.array([len(scores) for scores, _ in requests]),
        np.concatenate([np.array(scores, np.float32) for scores, _ in requests]),
        np.concatenate([np.array(labels, np.float32) for _, labels in requests]),
        {"device": [("phone", "tablet")[i % 2] for i in range(len(requests))]},
    )


def sums(*requests: tuple[list[float], list[float]]) -> list[dict[str, float]]:
    return [dict(zip(SUMS, row, strict=True)) for row in request_sums(lists(*requests)).tolist()]


def test_auc_counts_pairs_with_ties_by_half() -> None:
    first, tied = sums(([0.9, 0.5, 0.1], [0, 1, 0]), ([0.5, 0.5, 0.5, 0.2], [1, 0, 0, 1]))
    assert first["auc"] == pytest.approx(1 / 2)
    assert tied["auc"] == pytest.approx((1 / 2 + 1 / 2) / 4)


def test_ndcg_is_the_share_of_the_ideal_order() -> None:
    (row,) = sums(([0.9, 0.5, 0.1], [0, 1, 1]))
    assert row["ndcg"] == pytest.approx((1 / math.log2(3) + 1 / 2) / (1 + 1 / math.log2(3)))


def test_a_request_without_both_labels_has_no_ranking_metric_and_still_counts_for_rates() -> None:
    (row,) = sums(([0.9, 0.5], [0, 0]))
    assert (row["contrasted"], row["auc"], row["labelled"], row["residual"]) == (0.0, 0.0, 2.0, pytest.approx(-1.4))


def test_a_request_whose_labels_arent_known_yet_has_scores_alone() -> None:
    (row,) = sums(([0.9, 0.5], [1, math.nan]))
    assert (row["labelled"], row["positives"], row["contrasted"], row["candidates"]) == (0, 0, 0, 2)


def test_expected_auc_is_the_mean_over_labels_drawn_from_calibrated_scores() -> None:
    rng = np.random.default_rng(0)
    scores = np.sort(rng.beta(1, 3, 8))[::-1]
    drawn = rng.random((40_000, 8)) < scores
    both = drawn[drawn.any(axis=1) & ~drawn.all(axis=1)]
    truth = np.mean([_auc(each) for each in both[:4_000]])
    (row,) = sums((scores.tolist(), [0.0] * 8))
    assert row["expected_auc"] / row["contrast"] == pytest.approx(float(truth), abs=0.03)


def _auc(labels: np.ndarray) -> float:  # of scores in falling order
    positives = np.flatnonzero(labels)
    return float(np.mean([[i < j for j in np.flatnonzero(~labels)] for i in positives]))


def test_windows_add_up_whatever_their_parts() -> None:
    rng = np.random.default_rng(1)
    requests = [(rng.random(5).tolist(), (rng.random(5) < 0.3).astype(float).tolist()) for _ in range(40)]
    whole, parts = QualitySums(), QualitySums()
    whole.add(lists(*requests))
    for i in range(0, 40, 10):
        part = QualitySums()
        part.add(lists(*requests[i : i + 10], shoppers=list(range(i, i + 10))))
        parts.merge(part)
    assert whole.by_group.keys() == parts.by_group.keys()
    for key, each in whole.by_group.items():
        np.testing.assert_allclose(parts.by_group[key], each)


def _window(rng: np.random.Generator, *, day: int, turned: bool = False) -> RankedLists:
    """400 requests of 200 shoppers, ranked by their true probabilities, or by their opposite."""
    requests = []
    for _ in range(400):
        probability = rng.beta(1, 4, 10)
        labels = (rng.random(10) < probability).astype(float)
        requests.append(((1 - probability if turned else probability).tolist(), labels.tolist()))
    return lists(*requests, day=day, shoppers=[int(each) for each in rng.integers(0, 2**32, 200)] * 2)


def test_a_ranking_that_turned_is_found_and_one_that_holds_is_not() -> None:
    rng = np.random.default_rng(2)
    reference, same, turned = QualitySums(), QualitySums(), QualitySums()
    for day in range(8):
        reference.add(_window(rng, day=day))
    same.add(_window(rng, day=8))
    turned.add(_window(rng, day=8, turned=True))
    assert quality_changes(reference, same)[(*OVERALL, "AUC")].p > 0.01
    change = quality_changes(reference, turned)[(*OVERALL, "AUC")]
    assert change.p < 1e-4
    assert change.difference < -0.3
    assert quality_changes(reference, turned)[("device", "phone", "AUC")].p < 1e-3
