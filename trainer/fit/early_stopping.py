"""Evaluate each epoch on the eval split, keep the best one's weights, and stop when no better one follows."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from components.evaluation.metrics.vectorized_metrics import Ranked, listwise
from trainer.data.input_pipeline import SHOWN_GAIN
from trainer.fit.auc import auc
from trainer.fit.progress_log import PROGRESS
from trainer.model.ranker import Ranker

Weights = Sequence[NDArray[Any]]

_METRIC_NAMES = {"auc": "AUC", "ndcg": "NDCG@10"}


@dataclass(frozen=True)
class EvalMetrics:
    """Metrics of a model on the eval split: AUC over all candidates; NDCG@10, mean over the requests with a gain."""

    auc: float
    ndcg: float


def evaluate(model: Ranker, evaluation: tf.data.Dataset) -> EvalMetrics:
    """Compute a model's metrics over `trainer.data.input_pipeline.batches`; NDCG@10 as Evaluator defines it."""
    n_actions = len(model.action_weights)
    # One trace for all batches: by their shapes the first and the last would have traces of their own.
    logits = model.logged_logits.get_concrete_function(evaluation.element_spec[0])
    columns = [
        (
            acted.flat_values.numpy().reshape(-1, n_actions).max(axis=1),  # 1 if any action was done
            features[SHOWN_GAIN].flat_values.numpy(),
            acted.row_lengths().numpy(),
            logits(features).numpy(),
        )
        for features, acted in evaluation
    ]
    label, gain, row_lengths, score = (np.concatenate(each) for each in zip(*columns, strict=True))
    values, weights = listwise("ndcg_at_10", Ranked.from_scores(score, label > 0, gains=gain, row_lengths=row_lengths))
    total = float(weights.sum())
    return EvalMetrics(auc(label, score), float((values * weights).sum() / total) if total else math.nan)


class EarlyStopping:
    """Keep the weights of the best epoch, or the initial ones, and stop after `patience` epochs without better ones.

    `curve` has for each epoch: epoch (from 1), step, loss (mean over the epoch), eval_auc, eval_ndcg, learning_rate (at
    its end), seconds (of training, without evaluation), requests_per_s.

    Args:
        metric: which of `EvalMetrics` is compared.
        patience: epochs.
    """

    def __init__(self, metric: Literal["auc", "ndcg"], *, patience: int) -> None:
        self._metric, self._patience = metric, patience
        self.curve: list[dict[str, Any]] = []
        self.initial: EvalMetrics | None = None
        self.best: tuple[int, Weights] | None = None  # its row in `curve`, -1 of the initial weights

    def begin(self, metrics: EvalMetrics, weights: Weights) -> None:
        """Keep the initial weights until an epoch is better."""
        self.initial, self.best = metrics, (-1, weights)
        PROGRESS.info(f"before training  eval {_METRIC_NAMES[self._metric]} %.4f", self._value(-1))

    def add_epoch(self, row: Mapping[str, Any], metrics: EvalMetrics, weights: Weights) -> None:
        """Add an epoch to the curve, where `row` lacks the eval metrics, and keep its weights if it is the best."""
        self.curve.append({**row, "eval_auc": metrics.auc, "eval_ndcg": metrics.ndcg})
        PROGRESS.info(
            f"epoch %(epoch)d  step %(step)d  loss %(loss).4f  eval {_METRIC_NAMES[self._metric]} %(eval_{self._metric}).4f  "
            "%(requests_per_s).0f requests/s",
            self.curve[-1],
        )
        if self.best is None or self._value(len(self.curve) - 1) > self._value(self.best[0]):
            self.best = (len(self.curve) - 1, weights)

    @property
    def should_stop(self) -> bool:
        """Return whether `patience` epochs have passed since the best one."""
        return self.best is not None and len(self.curve) - 1 - self.best[0] >= self._patience

    def _value(self, epoch: int) -> float:
        if epoch < 0:
            return float(getattr(self.initial, self._metric))
        return float(self.curve[epoch][f"eval_{self._metric}"])
