"""AUC from counts is exact while the scores fit, and within its own bound beyond."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import roc_auc_score

from components.evaluation.metrics.score_histogram import MAX_LEVELS, NO_SCORES, ScoreHistogram, sortable

SCORES = hnp.arrays(np.float32, st.integers(0, 30), elements=st.floats(-2, 2, width=32) | st.sampled_from([0.0, -0.0, 0.25, 1.0]))


def _counts(scores: np.ndarray, seed: int = 0, *, max_levels: int = MAX_LEVELS) -> tuple[ScoreHistogram, np.ndarray]:
    positive = np.random.default_rng(seed).random(len(scores)) < 0.3
    return ScoreHistogram.from_scores(scores, positive, max_levels=max_levels), positive


def _same(a: ScoreHistogram, b: ScoreHistogram) -> bool:
    return a.dropped_bits == b.dropped_bits and all(
        np.array_equal(getattr(a, name), getattr(b, name)) for name in ("levels", "negatives", "positives")
    )


@given(SCORES)
def test_sortable_keeps_order_and_equality(scores: np.ndarray) -> None:
    keys = sortable(scores)
    assert np.array_equal(keys[:, None] < keys[None, :], scores[:, None] < scores[None, :])
    assert np.array_equal(keys[:, None] == keys[None, :], scores[:, None] == scores[None, :])
    assert ((keys >= 0) & (keys < 2**32)).all()


def test_nan_is_the_lowest_score() -> None:
    keys = sortable(np.array([np.nan, -np.inf, -1, 0, np.inf], np.float32))
    assert keys[0] == keys[1] < keys[2] < keys[3] < keys[4]


def test_auc_is_exact_for_a_hundred_thousand_scores_of_few_values() -> None:
    scores = np.random.default_rng(1).beta(1, 9, 100_000).astype(np.float16).astype(np.float32)
    counts, positive = _counts(scores)
    assert counts.auc == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)
    assert counts.auc_error == 0


def test_auc_of_more_distinct_scores_than_fit_is_within_its_bound() -> None:
    rng = np.random.default_rng(2)
    scores = rng.beta(1, 9, 300_000).astype(np.float32)
    positive = rng.random(300_000) < scores
    counts = ScoreHistogram.from_scores(scores, positive)
    assert len(counts.levels) <= MAX_LEVELS
    assert 0 < counts.auc_error < 1e-4
    assert abs(counts.auc - roc_auc_score(positive, scores)) <= counts.auc_error


def test_auc_is_undefined_with_one_class() -> None:
    assert np.isnan(ScoreHistogram.from_scores(np.ones(3, np.float32), np.ones(3, np.bool_)).auc)
    assert np.isnan(NO_SCORES.auc)


@settings(deadline=None)
@given(SCORES, SCORES, SCORES, st.integers(1, 20))
def test_adding_is_associative_commutative_and_counts_the_union(a: np.ndarray, b: np.ndarray, c: np.ndarray, max_levels: int) -> None:
    parts = [_counts(scores, seed, max_levels=max_levels) for seed, scores in enumerate((a, b, c))]
    (x, _), (y, _), (z, _) = parts
    whole = ScoreHistogram.from_scores(
        np.concatenate([a, b, c]), np.concatenate([positive for _, positive in parts]), max_levels=max_levels
    )
    assert _same((x + y) + z, x + (y + z))
    assert _same(x + y, y + x)
    assert _same((z + x) + y, whole)
    assert _same(NO_SCORES + whole + NO_SCORES, whole)
    assert len(whole.levels) <= max_levels


@given(hnp.arrays(np.float32, st.integers(1, 30), elements=st.floats(0, 1, width=32)))
def test_a_level_gives_back_its_score(scores: np.ndarray) -> None:
    counts, _ = _counts(scores)
    assert counts.scores.tolist() == np.unique(np.abs(scores)).tolist()
    assert _counts(scores, max_levels=1)[0].scores == pytest.approx([0.5], abs=0.5)


def test_calibration_bins_hold_equally_many_and_never_split_a_score() -> None:
    scores = np.linspace(0, 1, 1000).astype(np.float32)
    count, score_sum, positives = ScoreHistogram.from_scores(scores, scores > 0.5).calibration()
    assert count.tolist() == [100] * 10
    assert score_sum.sum() == pytest.approx(500)
    assert positives.tolist() == [0] * 5 + [100] * 5
    assert ScoreHistogram.from_scores(np.full(1000, 0.5, np.float32), scores > 0.5).calibration()[0].tolist() == [1000]
