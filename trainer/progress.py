"""What happens after each epoch: the eval AUC, a line of progress, a row of the training curve; and when training ends."""

import logging
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from components.contract.errors import RunError
from trainer.auc import auc
from trainer.averages import Averages
from trainer.model import Ranker

PROGRESS = logging.getLogger("shelfrank.progress")


class Judge(keras.callbacks.Callback):
    """Judges the averaged weights by eval AUC after each epoch, ends training after `patience` epochs without better ones, keeps the best.

    (Keras' own early stopping brings the best weights back only if it was the one that ended training.)

    `curve` has for each epoch: epoch (from 1), step, loss (mean over the epoch), eval_auc, seconds (of training, without judging),
    requests_per_s.

    Raises:
        RunError: the loss is no number any more.
    """

    def __init__(
        self, evaluation: tf.data.Dataset, averages: Averages, *, patience: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._averages = averages
        self.curve: list[dict[str, Any]] = []
        self._evaluation = evaluation
        self._patience = patience
        self._clock = clock
        self._begin = 0.0
        self._best: tuple[float, int, list[Any]] | None = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the clock."""
        self._begin = self._clock()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        """Judge, report, remember."""
        seconds = self._clock() - self._begin
        if not math.isfinite(logs["mean_loss"]):
            raise RunError(
                f"expected a finite loss, got {logs['mean_loss']} in epoch {epoch + 1}; lower `model.learning_rate` in the dataset file"
            )
        with self._averages.in_place():
            area, weights = eval_auc(self.model, self._evaluation), self.model.get_weights()
        row = {
            "epoch": epoch + 1,
            "step": int(self.model.optimizer.iterations.numpy()),
            "loss": float(logs["mean_loss"]),
            "eval_auc": area,
            "seconds": round(seconds, 3),
            "requests_per_s": round(float(logs["requests_seen"]) / max(seconds, 1e-9), 1),
        }
        self.curve.append(row)
        PROGRESS.info("epoch %(epoch)d  step %(step)d  loss %(loss).4f  eval AUC %(eval_auc).4f  %(requests_per_s).0f requests/s", row)
        if self._best is None or area > self._best[0]:
            self._best = (area, epoch, weights)
        elif epoch - self._best[1] >= self._patience:
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Bring the best weights back."""
        if self._best is not None:
            self.model.set_weights(self._best[2])


class Budget(keras.callbacks.Callback):
    """Ends training with the step that reaches so many impressions."""

    def __init__(self, impressions: int) -> None:
        super().__init__()
        self._left = float(impressions)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any]) -> None:
        """Stop where the model has seen enough."""
        if logs["impressions_seen"] >= self._left:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        """The count starts anew with each epoch."""
        self._left -= logs["impressions_seen"]


def eval_auc(model: Ranker, evaluation: tf.data.Dataset) -> float:
    """AUC over all candidates of the batches, by whether anything was done."""
    pairs = [
        (tf.reshape(labels.flat_values, [-1, len(model.worth)]).numpy().max(axis=1), model.logits(features).numpy())
        for features, labels in evaluation
    ]
    labels, logits = (np.concatenate(each) for each in zip(*pairs, strict=True))
    return auc(labels, logits)
