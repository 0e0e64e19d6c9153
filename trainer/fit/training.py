"""Fitting a ranker."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
import tf_keras as keras
from numpy.typing import NDArray

from components.contract.dataset import Dataset
from components.contract.errors import RunError
from components.contract.features import Category, Id
from trainer.config import RankerConfig, heads
from trainer.data.input_pipeline import Batch, Epochs, SoftLabels, batches, request_files
from trainer.distillation.soft_labels import teacher
from trainer.fit.checkpoints import Checkpoint, Checkpoints
from trainer.fit.determinism import deterministic, generators
from trainer.fit.learning_rate import learning_rate, needs_length
from trainer.fit.progress_log import PROGRESS, Judge, Judgement, Progress, judgement
from trainer.fit.strategy import from_chief, is_chief, over_workers, share, strategy
from trainer.fit.tensorboard import Board
from trainer.fit.train_step import Step
from trainer.model.network_inputs import CATEGORIES, layout, vocabulary_name
from trainer.model.position_bias import Examination, InversePropensity, curve
from trainer.model.positive_weights import amount_weights
from trainer.model.ranker import Ranker
from trainer.warm_start.reset_untrained_rows import clear_unseen, drawn_rows
from trainer.warm_start.warm_start import COLD, WarmStart, carry_over


@dataclass(frozen=True)
class Folders:
    """Where training writes; None: not at all.

    Attributes:
        checkpoints: of this training alone, the same when it is started again, and seen by all workers.
        board: for TensorBoard.
    """

    checkpoints: str | None = None
    board: str | None = None


PILOT_STEPS = 600
"""For how many steps the ranker is trained from whose examination the propensities are taken: a small split several times, a large one not
even once."""


def ranker(graph: tft.TFTransformOutput, *, dataset: Dataset, config: RankerConfig) -> Ranker:
    """An untrained ranker whose tables fit the Transform graph's vocabularies."""
    features = layout(dataset).features
    names = {vocabulary_name(feature) for feature in features if isinstance(feature, Id) and not feature.hashed}
    names |= {CATEGORIES for feature in features if isinstance(feature, Category)}
    return Ranker(dataset, config, {name: graph.vocabulary_size_by_name(name) for name in names})


def train(
    train_files: Sequence[str],
    eval_files: Sequence[str],
    graph: tft.TFTransformOutput,
    *,
    dataset: Dataset,
    config: RankerConfig,
    warm: WarmStart = COLD,
    devices: tf.distribute.Strategy | None = None,
    folders: Folders | None = None,
) -> tuple[Ranker, list[dict[str, Any]]]:
    """The ranker with the averaged weights of its best epoch on the eval split, and the training curve (see `Judge`).

    Seeds the process by the dataset's seed. `warm` is what it begins with; `devices` are those of `config.strategy`, made here if they
    aren't given. With a folder for checkpoints a training that was killed is taken up at its newest one, and ends with the same weights.

    Raises:
        InputError: a split holds no request.
        RunError: the loss is no number any more, or the workers don't see the same checkpoint.
    """
    deterministic(dataset.seed)
    devices = devices or strategy(config.strategy)
    with TemporaryDirectory() as folder:
        soft_labels = _taught(train_files, eval_files, folder, dataset=dataset, config=config) if config.distillation else None
        training = _Training(
            train_files,
            eval_files,
            graph,
            dataset=dataset,
            config=config,
            warm=warm,
            soft_labels=soft_labels,
            devices=devices,
            folders=folders or Folders(),
        )
        model = training.run()
    _calibrate(model, training.evaluation)
    return model, training.judge.curve


def _taught(train_files: Sequence[str], eval_files: Sequence[str], folder: str, *, dataset: Dataset, config: RankerConfig) -> SoftLabels:
    training, _ = request_files(train_files)
    evaluation, _ = request_files(eval_files)
    files = teacher(training, evaluation, dataset=dataset).write(training, folder, dataset=dataset)
    return SoftLabels(files, config.distillation)


def propensities(
    train_files: Sequence[str], graph: tft.TFTransformOutput, *, dataset: Dataset, config: RankerConfig, steps: int = PILOT_STEPS
) -> NDArray[np.float32]:
    """How likely each place is looked at [PLACES], as a short training of the `examination` model finds it, on this machine alone."""
    pilot = config.model_copy(update={"position_bias": "examination"})
    epochs = Epochs(
        train_files, graph, dataset=dataset, requests=config.batch_requests, seed=dataset.seed, labels=tuple(heads(dataset, config))
    )
    model = _built(graph, dataset, pilot, sample=epochs.sample, precision="float32")
    assert isinstance(model.bias, Examination)
    step = Step(model, config=pilot, rate=config.learning_rate)
    number, given = 0, iter(epochs.epoch(0))
    for _ in range(steps):
        try:
            step(given)
        except (StopIteration, tf.errors.OutOfRangeError):
            number += 1
            given = iter(epochs.epoch(number))
    _assign(model.trainable_variables, [average.numpy() for average in step.averages.variables])
    return curve(model.bias)


def _calibrate(model: Ranker, evaluation: tf.data.Dataset) -> None:
    told = [
        (model.action_logits(features).numpy(), labels.flat_values.numpy().reshape(-1, len(model.worth))) for features, labels in evaluation
    ]
    given, acted = (np.concatenate(each).astype(np.float64) for each in zip(*told, strict=True))
    # The log tells nothing of a chance once looked at: there a score stays what the loss made of it.
    model.calibration.fit(given, acted, model.config.calibration if model.config.position_bias == "none" else "none")


class _Training:
    """All that changes while a ranker is fitted."""

    def __init__(
        self,
        train_files: Sequence[str],
        eval_files: Sequence[str],
        graph: tft.TFTransformOutput,
        *,
        dataset: Dataset,
        config: RankerConfig,
        warm: WarmStart,
        soft_labels: SoftLabels | None,
        devices: tf.distribute.Strategy,
        folders: Folders,
    ) -> None:
        self.config, self.strategy = config, devices
        self.chief, self.together = is_chief(config.strategy), config.strategy == "multi_worker"
        requests, labels = config.batch_requests, tuple(heads(dataset, config))
        self.epochs = Epochs(
            train_files,
            graph,
            dataset=dataset,
            requests=requests,
            seed=dataset.seed,
            labels=labels,
            soft_labels=soft_labels,
            weights=amount_weights(request_files(train_files)[0], dataset, config.weight_by) if config.weight_by else None,
            since_us=warm.since_us,
            share=share(self.strategy),
        )
        self.evaluation = batches(eval_files, graph, dataset=dataset, requests=requests, labels=labels)
        self.progress_steps = self.epochs.steps() if needs_length(config) else None
        with self.strategy.scope():
            self.model = _built(graph, dataset, config, sample=self.epochs.sample, precision=config.precision)
            self.drawn = drawn_rows(self.model)
            carry_over(self.model, graph=graph, warm=warm)
            rate = learning_rate(config, min((self.progress_steps or 0) * config.epochs, config.max_steps or sys.maxsize))
            self.step = Step(self.model, config=config, rate=rate)
        if isinstance(self.model.bias, InversePropensity):
            self.model.bias.assign(propensities(train_files, graph, dataset=dataset, config=config))
        # What is judged and kept: in float32 and on this machine alone, whatever the other is.
        self.judged = _built(graph, dataset, config, sample=self.epochs.sample, precision="float32")
        self.judge = Judge(config.judged_by, patience=config.patience)
        self.board = Board(folders.board if self.chief else None)
        self.checkpoints = Checkpoints(folders.checkpoints) if folders.checkpoints else None
        self.progress = Progress(self.model, log_steps=config.log_steps, told=self.board.steps, in_step=self.together)
        self.progress.epoch_steps = self.progress_steps
        self.epoch, self.of_epoch, self.steps, self.impressions, self.seconds = 0, 0, 0, 0.0, 0.0

    def run(self) -> Ranker:
        """Train to the end, from the newest checkpoint if there is one."""
        try:
            self._take_up()
            while self.epoch < self.config.epochs and not self.judge.content and not self._spent():
                self._train_epoch()
                self._end_epoch()
        finally:
            self.board.close()
        assert self.judge.best is not None, "at least one epoch"
        _assign(self.judged.variables, self.judge.best[1])
        clear_unseen(self.judged, self.drawn)
        return self.judged

    def _train_epoch(self) -> None:
        """The steps of an epoch that are left, fewer if the steps or impressions of training are spent."""
        unseen = self.epochs.epoch(self.epoch, skipped=self.of_epoch)
        given = iter(self.strategy.distribute_datasets_from_function(lambda _: unseen))
        self.progress.begin(self.epoch, steps=self.of_epoch, seconds=self.seconds)
        while not self._spent():
            try:
                self.step(given)
            except (StopIteration, tf.errors.OutOfRangeError):
                self.progress.epoch_steps = self.of_epoch
                return
            self.of_epoch, self.steps = self.of_epoch + 1, self.steps + 1
            self.progress.step(self.steps, learning_rate=lambda: self.step.learning_rate)
            if self.checkpoints and self.steps % self.config.checkpoint_steps == 0:
                self._write(self.checkpoints)

    def _end_epoch(self) -> None:
        row = self.progress.end(self.steps, learning_rate=self.step.learning_rate)
        weights = self._averaged()
        judged = Judgement(0.0, 0.0)
        if self.chief:
            _assign(self.judged.variables, weights)
            judged = judgement(self.judged, self.evaluation)
        # The chief judges; all must come to the same decision, or some would wait for ever.
        judged = Judgement(*(from_chief(self.strategy, each) for each in (judged.auc, judged.ndcg)))
        self.judge.epoch(row, judged, weights)
        self.board.epoch(self.judge.curve[-1])
        self.impressions += float(self.model.impressions_seen.result())
        self.model.reset_metrics()
        self.epoch, self.of_epoch, self.seconds = self.epoch + 1, 0, 0.0

    def _spent(self) -> bool:
        if self.config.max_steps is not None and self.steps >= self.config.max_steps:
            return True
        most = self.config.max_impressions
        return most is not None and self.impressions + float(self.model.impressions_seen.result()) >= most

    def _averaged(self) -> list[NDArray[Any]]:
        """The model's variables with the averages in place of the trainable ones."""
        weights, averaged = self.model.trainable_variables, self.step.averages.variables
        averages = {id(weight): average for weight, average in zip(weights, averaged, strict=True)}
        return [averages.get(id(variable), variable).numpy() for variable in self.model.variables]

    def _state(self) -> dict[str, list[tf.Variable]]:
        """All variables that a step changes."""
        metrics = [variable for metric in self.model.metrics for variable in metric.variables]
        return {
            "model": self.model.variables,
            "metrics": metrics,
            "optimizer": self.step.variables,
            "averages": self.step.averages.variables,
            "random": generators(self.model),
        }

    def _write(self, checkpoints: Checkpoints) -> None:
        # Every worker gathers, as some variables are sums over all; one writes.
        arrays = {name: [variable.numpy() for variable in variables] for name, variables in self._state().items()}
        notes: dict[str, Any] = {"epoch": self.epoch, "of_epoch": self.of_epoch, "steps": self.steps, "impressions": self.impressions}
        notes |= {"seconds": self.progress.seconds, "curve": self.judge.curve, "best": None}
        if self.judge.best is not None:
            notes["best"], arrays["best"] = self.judge.best[0], list(self.judge.best[1])
        if self.chief:
            checkpoints.write(self.steps, Checkpoint(arrays, notes))

    def _take_up(self) -> None:
        """Go on from the newest checkpoint."""
        found = self.checkpoints.read() if self.checkpoints else None
        step = int(found.notes["steps"]) if found else 0
        workers = over_workers(self.strategy, 1.0)
        if round(over_workers(self.strategy, step)) != step * round(workers):
            raise RunError(
                f"expected all workers to find the checkpoint of one step, this one found that of step {step}; "
                "give them one folder that all can read"
            )
        if found is None:
            return
        for name, variables in self._state().items():
            _assign(variables, found.arrays[name])
        notes = found.notes
        self.epoch, self.of_epoch, self.steps = notes["epoch"], notes["of_epoch"], notes["steps"]
        self.impressions, self.seconds = notes["impressions"], notes["seconds"]
        self.judge.curve.extend(notes["curve"])
        if notes["best"] is not None:
            self.judge.best = (notes["best"], list(found.arrays["best"]))
        for row in self.judge.curve:
            self.board.epoch(row)
        PROGRESS.info(f"taken up at step {self.steps}, epoch {self.epoch + 1}")


def _built(graph: tft.TFTransformOutput, dataset: Dataset, config: RankerConfig, *, sample: Batch, precision: str) -> Ranker:
    """A ranker with all its weights, in the strategy in scope."""
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(precision)
    try:
        model = ranker(graph, dataset=dataset, config=config)
        # The loss has weights too, those of `Examination`.
        tf.distribute.get_strategy().run(model.compute_loss, args=(sample,))
    finally:
        keras.mixed_precision.set_global_policy(before)
    model.reset_metrics()
    return model


def _assign(variables: Sequence[tf.Variable], values: Sequence[NDArray[Any]]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
