"""Run the epochs of a training, evaluate after each, and write checkpoints from which it resumes bit for bit."""

from dataclasses import asdict, dataclass
from typing import Any

import tensorflow as tf

from components.contract.errors import RunError
from trainer.config import RankerConfig
from trainer.data.input_pipeline import Epochs
from trainer.fit.checkpoints import Checkpoint, Checkpoints, assign
from trainer.fit.early_stopping import EarlyStopping, EvalMetrics, Weights, evaluate
from trainer.fit.progress_log import PROGRESS, ProgressLog
from trainer.fit.strategy import from_chief, over_workers
from trainer.fit.tensorboard import TensorBoardWriter
from trainer.fit.train_step import TrainStep
from trainer.model.ranker import Ranker


@dataclass(frozen=True)
class Evaluator:
    """Evaluate weights on the chief, and give every worker the result."""

    model: Ranker  # in float32, on this machine alone
    evaluation: tf.data.Dataset
    strategy: tf.distribute.Strategy
    chief: bool

    def metrics(self, weights: Weights) -> EvalMetrics:
        """Return the metrics of the model with these weights."""
        metrics = EvalMetrics(0.0, 0.0)
        if self.chief:
            assign(self.model.variables, weights)
            metrics = evaluate(self.model, self.evaluation)
        # All workers must come to the same decision, or some would wait for ever.
        return EvalMetrics(*(from_chief(self.strategy, each) for each in (metrics.auc, metrics.ndcg)))


@dataclass
class _Position:
    """How far training has come."""

    epoch: int = 0
    epoch_steps: int = 0
    steps: int = 0
    impressions: float = 0.0  # of the epochs before this one
    epoch_seconds: float = 0.0  # of this epoch in earlier attempts


class TrainingLoop:
    """Train until early stopping, or until the epochs, steps or impressions of the settings are used up.

    Args:
        tensorboard: takes the curves; closed at the end.
        epoch_steps: steps of an epoch, if they are known beforehand.
        keep_initial: return the initial weights if no epoch is better.
    """

    def __init__(
        self,
        config: RankerConfig,
        step: TrainStep,
        epochs: Epochs,
        *,
        evaluator: Evaluator,
        checkpoints: Checkpoints | None,
        tensorboard: TensorBoardWriter,
        epoch_steps: int | None,
        keep_initial: bool = False,
    ) -> None:
        self._config, self._step, self._epochs, self._evaluator = config, step, epochs, evaluator
        self._keep_initial = keep_initial
        self._checkpoints, self._tensorboard = checkpoints, tensorboard
        self._stopping = EarlyStopping(config.judged_by, patience=config.patience)
        self._progress = ProgressLog(
            step.model, log_steps=config.log_steps, write_row=tensorboard.add_steps, in_step=config.strategy == "multi_worker"
        )
        self._progress.epoch_steps = epoch_steps
        self._position = _Position()

    def run(self) -> tuple[list[dict[str, Any]], Weights]:
        """Train, from the newest checkpoint if there is one; return the curve and the best epoch's weights."""
        try:
            self._resume()
            if self._keep_initial and self._stopping.best is None:
                weights = self._step.averaged_weights()
                self._stopping.begin(self._evaluator.metrics(weights), weights)
            while self._position.epoch < self._config.epochs and not self._stopping.should_stop and not self._used_up():
                self._train_epoch()
                self._end_epoch()
        finally:
            self._tensorboard.close()
        assert self._stopping.best is not None, "at least one epoch"
        return self._stopping.curve, self._stopping.best[1]

    def _train_epoch(self) -> None:
        """Train for the steps of the epoch that are left, fewer if the steps or impressions of training are used up."""
        position = self._position
        remaining = self._epochs.epoch(position.epoch, skipped=position.epoch_steps)
        batches = iter(self._step.strategy.distribute_datasets_from_function(lambda _: remaining))
        self._progress.begin_epoch(position.epoch, steps=position.epoch_steps, seconds=position.epoch_seconds)
        while not self._used_up():
            try:
                self._step(batches)
            except (StopIteration, tf.errors.OutOfRangeError):
                self._progress.epoch_steps = position.epoch_steps
                return
            position.epoch_steps += 1
            position.steps += 1
            self._progress.end_step(position.steps, learning_rate=lambda: self._step.learning_rate)
            if self._checkpoints and position.steps % self._config.checkpoint_steps == 0:
                self._write(self._checkpoints)

    def _end_epoch(self) -> None:
        position, model = self._position, self._step.model
        row = self._progress.end_epoch(position.steps, learning_rate=self._step.learning_rate)
        weights = self._step.averaged_weights()
        self._stopping.add_epoch(row, self._evaluator.metrics(weights), weights)
        self._tensorboard.add_epoch(self._stopping.curve[-1])
        position.impressions += float(model.impressions_seen.result())
        model.reset_metrics()
        position.epoch, position.epoch_steps, position.epoch_seconds = position.epoch + 1, 0, 0.0

    def _used_up(self) -> bool:
        max_steps, max_impressions = self._config.max_steps, self._config.max_impressions
        if max_steps is not None and self._position.steps >= max_steps:
            return True
        seen = self._step.model.impressions_seen
        return max_impressions is not None and self._position.impressions + float(seen.result()) >= max_impressions

    def _write(self, checkpoints: Checkpoints) -> None:
        """Write a checkpoint: every worker gathers the variables, some of which are sums over all; the chief writes."""
        arrays = {name: [variable.numpy() for variable in variables] for name, variables in self._step.state().items()}
        position, best = self._position, self._stopping.best
        notes = {
            "epoch": position.epoch,
            "of_epoch": position.epoch_steps,
            "steps": position.steps,
            "impressions": position.impressions,
            "seconds": self._progress.seconds,
            "curve": self._stopping.curve,
            "best": best[0] if best else None,
            "initial": asdict(self._stopping.initial) if self._stopping.initial else None,
        }
        if best:
            arrays["best"] = list(best[1])
        if self._evaluator.chief:
            checkpoints.write(position.steps, Checkpoint(arrays, notes))

    def _resume(self) -> None:
        """Restore the newest checkpoint, if there is one."""
        checkpoint = self._checkpoints.read() if self._checkpoints else None
        self._check_workers_agree(int(checkpoint.notes["steps"]) if checkpoint else 0)
        if checkpoint is None:
            return
        for name, variables in self._step.state().items():
            assign(variables, checkpoint.arrays[name])
        notes = checkpoint.notes
        self._position = _Position(notes["epoch"], notes["of_epoch"], notes["steps"], notes["impressions"], notes["seconds"])
        self._stopping.curve.extend(notes["curve"])
        if notes["best"] is not None:
            self._stopping.best = (notes["best"], list(checkpoint.arrays["best"]))
        if notes["initial"] is not None:
            self._stopping.initial = EvalMetrics(**notes["initial"])
        for row in self._stopping.curve:
            self._tensorboard.add_epoch(row)
        PROGRESS.info(f"taken up at step {self._position.steps}, epoch {self._position.epoch + 1}")

    def _check_workers_agree(self, step: int) -> None:
        """Raise a RunError unless all workers read the checkpoint of the same step, 0 where there is none."""
        workers = over_workers(self._step.strategy, 1.0)
        if round(over_workers(self._step.strategy, step)) != step * round(workers):
            raise RunError(
                f"expected all workers to find the checkpoint of one step, this one found that of step {step}; "
                "give them one folder that all can read"
            )
