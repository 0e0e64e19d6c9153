"""Curves of a model for the report's charts: calibration, the distribution of scores, positives by position."""

from typing import Any

import numpy as np

from components.evaluation.metrics.metric_accumulator import RankingSums

CURVES = "curves"
"""The metric under which Evaluator writes the curves, as JSON."""
SCORE_BINS = 30

Curves = dict[str, Any]
"""
    calibration    for each bin of equally many impressions: impressions, mean score, share of positives
    scores         equal bins from 0 to `top`: impressions without and with a label
    places         for each position of the model's order: impressions, and the share of positives there over the overall share
"""


def curves(sums: RankingSums) -> Curves:
    """Compute the curves of a model as plain values."""
    bins = np.stack(sums.scores.calibration(), axis=1)
    bins = bins if np.isfinite(bins).all() else bins[:0]  # scores that are no probabilities can't be calibrated
    positions = sums.positions.T.tolist()
    share = float(sums.scores.positives.sum() / max(1, sums.scores.positives.sum() + sums.scores.negatives.sum()))
    return {
        "calibration": [[count, score_sum / count, positives / count] for count, score_sum, positives in bins.tolist()],
        "scores": _distribution(sums),
        "places": [[shown, positives / shown / share] for shown, positives in positions if shown and share],
    }


def _distribution(sums: RankingSums) -> Curves:
    scores = sums.scores.scores
    if not len(scores) or not np.isfinite(scores).all():
        return {"top": 1.0, "without": [], "with": []}
    top = float(scores.max()) or 1.0
    at = np.minimum((scores / top * SCORE_BINS).astype(np.int64), SCORE_BINS - 1)
    without, having = (np.bincount(at, weights=counts, minlength=SCORE_BINS) for counts in (sums.scores.negatives, sums.scores.positives))
    return {"top": top, "without": without.tolist(), "with": having.tolist()}
