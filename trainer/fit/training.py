"""Train a ranker: set up inputs, model and training loop, and return the best epoch's ranker, calibrated."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from components.contract.dataset import Dataset
from trainer.config import RankerConfig, heads
from trainer.data.input_pipeline import Epochs, SoftLabels, TrainingExamples, batches, request_files
from trainer.distillation.soft_labels import fit_teacher
from trainer.fit.build import build_ranker
from trainer.fit.checkpoints import Checkpoints, assign
from trainer.fit.determinism import make_deterministic
from trainer.fit.learning_rate import learning_rate, needs_length
from trainer.fit.propensities import propensities
from trainer.fit.strategy import batch_shard, is_chief, strategy
from trainer.fit.tensorboard import TensorBoardWriter
from trainer.fit.train_step import TrainStep
from trainer.fit.training_loop import Evaluator, TrainingLoop
from trainer.model.position_bias import InversePropensity
from trainer.model.positive_weights import amount_weights
from trainer.model.ranker import Ranker
from trainer.warm_start.reset_untrained_rows import initial_rows, reset_untrained_rows
from trainer.warm_start.warm_start import COLD, WarmStart, carry_over


@dataclass(frozen=True)
class Folders:
    """Folders that training writes to; None: not at all."""

    checkpoints: str | None = None  # of this training alone, the same when it is started again, and shared by all workers
    tensorboard: str | None = None


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
    """Train a ranker; return it with the averaged weights of its best epoch, and the curve (see `EarlyStopping`).

    Seeds the process by the dataset's seed. With a folder for checkpoints a killed training resumes from its newest
    one, and ends with the same weights.

    Args:
        warm: the champion's weights to begin with, and to keep where no epoch is better.
        devices: those of `config.strategy`; made here by default.

    Raises:
        InputError: a split holds no request.
        RunError: the loss isn't finite any more, or the workers don't read the same checkpoint.
    """
    make_deterministic(dataset.seed)
    devices, folders, chief = devices or strategy(config.strategy), folders or Folders(), is_chief(config.strategy)
    with TemporaryDirectory() as soft_labels_folder:
        examples = TrainingExamples(
            train_files,
            labels=tuple(heads(dataset, config)),
            soft_labels=_soft_labels(train_files, eval_files, soft_labels_folder, dataset, config) if config.distillation else None,
            weights=amount_weights(request_files(train_files)[0], dataset, config.weight_by) if config.weight_by else None,
        )
        epochs = Epochs(examples, graph, dataset=dataset, requests=config.batch_requests, seed=dataset.seed, shard=batch_shard(devices))
        evaluation = batches(eval_files, graph, dataset=dataset, requests=config.batch_requests, labels=examples.labels)
        epoch_steps = epochs.steps() if needs_length(config) else None
        with devices.scope():
            model = build_ranker(graph, dataset, config, sample=epochs.sample, precision=config.precision)
            initial = initial_rows(model)
            carry_over(model, graph=graph, warm=warm)
            rate = learning_rate(config, min((epoch_steps or 0) * config.epochs, config.max_steps or sys.maxsize))
            step = TrainStep(model, config=config, rate=rate)
        if isinstance(model.bias, InversePropensity) and warm.champion is None:
            model.bias.assign(propensities(train_files, graph, dataset=dataset, config=config))
        # Evaluated and returned: a copy in float32 on this machine alone, whatever precision and devices train.
        trained = build_ranker(graph, dataset, config, sample=epochs.sample, precision="float32")
        loop = TrainingLoop(
            config,
            step,
            epochs,
            evaluator=Evaluator(trained, evaluation, devices, chief=chief),
            checkpoints=Checkpoints(folders.checkpoints) if folders.checkpoints else None,
            tensorboard=TensorBoardWriter(folders.tensorboard if chief else None),
            epoch_steps=epoch_steps,
            keep_initial=warm.champion is not None and not warm.refresh,
        )
        curve, weights = loop.run()
    assign(trained.variables, weights)
    reset_untrained_rows(trained, initial)
    if not warm.refresh:
        _calibrate(trained, evaluation)
    return trained, curve


def _soft_labels(train_files: Sequence[str], eval_files: Sequence[str], folder: str, dataset: Dataset, config: RankerConfig) -> SoftLabels:
    """Fit the teacher and write its estimates into `folder`."""
    training, _ = request_files(train_files)
    evaluation, _ = request_files(eval_files)
    teacher = fit_teacher(training, evaluation, dataset=dataset)
    return SoftLabels(teacher.write(training, folder, dataset=dataset), config.distillation)


def _calibrate(model: Ranker, evaluation: tf.data.Dataset) -> None:
    """Fit the calibration by the eval split's logits and labels."""
    n_actions = len(model.action_weights)
    action_logits = model.action_logits.get_concrete_function(evaluation.element_spec[0])
    batch_pairs = [(action_logits(features).numpy(), labels.flat_values.numpy().reshape(-1, n_actions)) for features, labels in evaluation]
    logits, labels = (np.concatenate(each).astype(np.float64) for each in zip(*batch_pairs, strict=True))
    # The log has no labels of the probability once examined: there a score stays what the loss made of it.
    model.calibration.fit(logits, labels, model.config.calibration if model.config.position_bias == "none" else "none")
