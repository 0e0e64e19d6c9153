"""What is told of training while it runs, and when it ends: lines of progress, the eval split's judgement, the training curve."""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from components.contract.errors import RunError
from components.evaluation.metrics.vectorized_metrics import Ranked, listwise
from trainer.data.input_pipeline import SHOWN_GAIN
from trainer.fit.auc import auc
from trainer.model.ranker import Ranker

PROGRESS = logging.getLogger("shelfrank.progress")

Weights = Sequence[NDArray[Any]]

_LINE_S = 10.0
_LINE = "epoch %(epoch)d%(share)s  step %(step)d  loss %(loss).4f  AUC %(auc).4f  %(requests_per_s).0f requests/s"
_JUDGED = {"auc": "AUC", "ndcg": "NDCG@10"}


@dataclass(frozen=True)
class Judgement:
    """What a model is worth on the eval split."""

    auc: float  # over all candidates
    ndcg: float  # NDCG@10, mean over the requests with a gain


def judgement(model: Ranker, evaluation: tf.data.Dataset) -> Judgement:
    """Judge a model on batches of `trainer.data.input_pipeline.batches`; NDCG@10 as Evaluator defines it."""
    labels, gains, logits, lengths = [], [], [], []
    for features, acted in evaluation:
        labels.append(acted.flat_values.numpy().reshape(-1, len(model.worth)).max(axis=1))  # whether anything was done
        gains.append(features[SHOWN_GAIN].flat_values.numpy())
        lengths.append(acted.row_lengths().numpy())
        logits.append(model.logged_logits(features).numpy())
    flat = [np.concatenate(each) for each in (labels, gains, lengths, logits)]
    ranked = Ranked.of(flat[3], flat[0] > 0, gains=flat[1], row_lengths=flat[2])
    values, weights = listwise("ndcg_at_10", ranked)
    total = float(weights.sum())
    return Judgement(auc(flat[0], flat[3]), float((values * weights).sum() / total) if total else math.nan)


class Judge:
    """Keeps the weights of the best epoch, and ends training after `patience` epochs without a better one.

    `curve` has for each epoch: epoch (from 1), step, loss (mean over the epoch), eval_auc, eval_ndcg, learning_rate (at its end),
    seconds (of training, without judging), requests_per_s.

    Args:
        judged_by: which of the two numbers of a judgement decides.
        patience: epochs.
    """

    def __init__(self, judged_by: Literal["auc", "ndcg"], *, patience: int) -> None:
        self._judged_by, self._patience = judged_by, patience
        self.curve: list[dict[str, Any]] = []
        self.best: tuple[int, Weights] | None = None

    def epoch(self, row: Mapping[str, Any], judged: Judgement, weights: Weights) -> None:
        """An epoch has ended with these weights, and this came of them; `row` has what of the curve isn't of the judgement."""
        self.curve.append({**row, "eval_auc": judged.auc, "eval_ndcg": judged.ndcg})
        PROGRESS.info(
            f"epoch %(epoch)d  step %(step)d  loss %(loss).4f  eval {_JUDGED[self._judged_by]} %(eval_{self._judged_by}).4f  "
            "%(requests_per_s).0f requests/s",
            self.curve[-1],
        )
        if self.best is None or self._at(len(self.curve) - 1) > self._at(self.best[0]):
            self.best = (len(self.curve) - 1, weights)

    @property
    def content(self) -> bool:
        """Whether training may end."""
        return self.best is not None and len(self.curve) - 1 - self.best[0] >= self._patience

    def _at(self, epoch: int) -> float:
        return float(self.curve[epoch][f"eval_{self._judged_by}"])


class Progress:
    """Tells every `log_steps` steps and every ten seconds how training goes.

    Args:
        model: whose metrics are told; they are those of the epoch so far.
        log_steps: steps from one row for TensorBoard to the next.
        told: takes such a row: epoch, step, loss, auc, learning_rate, requests_per_s.
        in_step: with several workers metrics are sums over all, which all must ask for at the same step: then not by the clock.
        clock: seconds.
    """

    def __init__(
        self,
        model: Ranker,
        *,
        log_steps: int,
        told: Callable[[Mapping[str, Any]], None],
        in_step: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._model, self._log_steps, self._told, self._in_step, self._clock = model, log_steps, told, in_step, clock
        self._epoch, self._steps, self._before, self._begin = 0, 0, 0.0, 0.0
        self._line_at = self._point_at = (0.0, 0.0)
        self.epoch_steps: int | None = None
        """Steps of an epoch, once known."""

    def begin(self, epoch: int, *, steps: int = 0, seconds: float = 0.0) -> None:
        """An epoch begins, from 0, or is taken up after so many steps and seconds."""
        now = self._clock()
        self._epoch, self._steps, self._before, self._begin = epoch, steps, seconds, now
        requests = float(self._model.requests_seen.result()) if steps else 0.0
        self._line_at = self._point_at = (now, requests)

    @property
    def seconds(self) -> float:
        """Of training in this epoch."""
        return self._before + self._clock() - self._begin

    def step(self, step: int, *, learning_rate: Callable[[], float]) -> None:
        """A step has ended, the `step`-th of training."""
        self._steps += 1
        now, point = self._clock(), step % self._log_steps == 0
        line = now - self._line_at[0] >= _LINE_S
        if not point and (self._in_step or not line):
            return
        requests = float(self._model.requests_seen.result())
        row = {
            "epoch": self._epoch + 1,
            "step": step,
            "loss": float(self._model.mean_loss.result()),
            "auc": float(self._model.running_auc.result()),
            "learning_rate": learning_rate(),
        }
        if point:
            self._told({**row, "requests_per_s": _rate(self._point_at, (now, requests))})
            self._point_at = (now, requests)
        if line:
            share = f"  {self._steps / self.epoch_steps:.0%}" if self.epoch_steps else ""
            PROGRESS.info(_LINE, {**row, "share": share, "requests_per_s": _rate(self._line_at, (now, requests))})
            self._line_at = (now, requests)

    def end(self, step: int, *, learning_rate: float) -> dict[str, Any]:
        """The epoch has ended; its row of the curve, but for the judgement.

        Raises:
            RunError: the loss is no number any more.
        """
        loss, seconds = float(self._model.mean_loss.result()), self.seconds
        if not math.isfinite(loss):
            raise RunError(
                f"expected a finite loss, got {loss} in epoch {self._epoch + 1}; lower `model.learning_rate` in the dataset file"
            )
        return {
            "epoch": self._epoch + 1,
            "step": step,
            "loss": loss,
            "learning_rate": learning_rate,
            "seconds": round(seconds, 3),
            "requests_per_s": round(float(self._model.requests_seen.result()) / max(seconds, 1e-9), 1),
        }


def _rate(since: tuple[float, float], now: tuple[float, float]) -> float:
    return round((now[1] - since[1]) / max(now[0] - since[0], 1e-9), 1)
