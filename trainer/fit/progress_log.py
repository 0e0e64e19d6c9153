"""Log the progress of training: lines for a person, rows for TensorBoard, an epoch's row of the curve."""

import logging
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from components.contract.errors import RunError
from trainer.model.ranker import Ranker

PROGRESS = logging.getLogger("shelfrank.progress")

_LINE_S = 10.0
_LINE = "epoch %(epoch)d%(share)s  step %(step)d  loss %(loss).4f  AUC %(auc).4f  %(requests_per_s).0f requests/s"


class ProgressLog:
    """Log metrics of the epoch so far: a line every ten seconds, a row for TensorBoard every `log_steps` steps.

    Args:
        model: whose training metrics are logged.
        log_steps: steps from one row to the next.
        write_row: takes a row: epoch, step, loss, auc, learning_rate, requests_per_s.
        in_step: with several workers metrics are sums over all, which all must read at the same step: then not by the
            clock.
        clock: seconds.

    Attributes:
        epoch_steps: steps of an epoch, None until known.
    """

    def __init__(
        self,
        model: Ranker,
        *,
        log_steps: int,
        write_row: Callable[[Mapping[str, Any]], None],
        in_step: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._model, self._log_steps, self._write_row, self._in_step, self._clock = model, log_steps, write_row, in_step, clock
        self._epoch, self._steps, self._earlier_seconds, self._began = 0, 0, 0.0, 0.0
        self._line_mark = self._row_mark = (0.0, 0.0)  # seconds, requests
        self.epoch_steps: int | None = None

    def begin_epoch(self, epoch: int, *, steps: int = 0, seconds: float = 0.0) -> None:
        """Begin an epoch, counted from 0, or resume it after `steps` steps and `seconds` seconds."""
        now = self._clock()
        self._epoch, self._steps, self._earlier_seconds, self._began = epoch, steps, seconds, now
        self._line_mark = self._row_mark = (now, float(self._model.requests_seen.result()) if steps else 0.0)

    @property
    def seconds(self) -> float:
        """Return the seconds of training in this epoch."""
        return self._earlier_seconds + self._clock() - self._began

    def end_step(self, step: int, *, learning_rate: Callable[[], float]) -> None:
        """Log what is due after the `step`-th step of training, from 1."""
        self._steps += 1
        seconds, row_due = self._clock(), step % self._log_steps == 0
        line_due = seconds - self._line_mark[0] >= _LINE_S
        if not row_due and (self._in_step or not line_due):
            return
        now = (seconds, float(self._model.requests_seen.result()))
        row = {
            "epoch": self._epoch + 1,
            "step": step,
            "loss": float(self._model.mean_loss.result()),
            "auc": float(self._model.running_auc.result()),
            "learning_rate": learning_rate(),
        }
        if row_due:
            self._write_row({**row, "requests_per_s": _requests_per_s(self._row_mark, now)})
            self._row_mark = now
        if line_due:
            share = f"  {self._steps / self.epoch_steps:.0%}" if self.epoch_steps else ""
            PROGRESS.info(_LINE, {**row, "share": share, "requests_per_s": _requests_per_s(self._line_mark, now)})
            self._line_mark = now

    def end_epoch(self, step: int, *, learning_rate: float) -> dict[str, Any]:
        """Return the epoch's row of the training curve, complete but for its eval metrics.

        Raises:
            RunError: the loss isn't finite any more.
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


def _requests_per_s(since: tuple[float, float], now: tuple[float, float]) -> float:
    return round((now[1] - since[1]) / max(now[0] - since[0], 1e-9), 1)
