"""Fitting a ranker."""

from collections.abc import Sequence
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
import tf_keras as keras

from components.contract.dataset import Dataset
from components.contract.features import Category, Id
from trainer.averages import Averages
from trainer.config import RankerConfig, heads
from trainer.input import SoftLabels, batches, found
from trainer.layout import CATEGORIES, layout, vocabulary_name
from trainer.model import Ranker
from trainer.progress import Budget, Judge
from trainer.teacher.soft_labels import teacher


def ranker(graph: tft.TFTransformOutput, *, dataset: Dataset, config: RankerConfig) -> Ranker:
    """An untrained ranker whose tables fit the Transform graph's vocabularies."""
    features = layout(dataset).features
    names = {vocabulary_name(feature) for feature in features if isinstance(feature, Id) and not feature.hashed}
    names |= {CATEGORIES for feature in features if isinstance(feature, Category)}
    return Ranker(dataset, config, {name: graph.vocabulary_size_by_name(name) for name in names})


def train(
    train_files: Sequence[str], eval_files: Sequence[str], graph: tft.TFTransformOutput, *, dataset: Dataset, config: RankerConfig
) -> tuple[Ranker, list[dict[str, Any]]]:
    """The ranker with the weights of its best epoch by eval AUC, and the training curve (see `Judge`)."""
    with TemporaryDirectory() as folder:
        soft_labels = _taught(train_files, eval_files, folder, dataset=dataset, config=config) if config.distillation else None
        return _fitted(train_files, eval_files, graph, dataset=dataset, config=config, soft_labels=soft_labels)


def _taught(train_files: Sequence[str], eval_files: Sequence[str], folder: str, *, dataset: Dataset, config: RankerConfig) -> SoftLabels:
    training = found(train_files)
    files = teacher(training, found(eval_files), dataset=dataset).write(training, folder, dataset=dataset)
    return SoftLabels(files, config.distillation)


def _fitted(
    train_files: Sequence[str],
    eval_files: Sequence[str],
    graph: tft.TFTransformOutput,
    *,
    dataset: Dataset,
    config: RankerConfig,
    soft_labels: SoftLabels | None,
) -> tuple[Ranker, list[dict[str, Any]]]:
    labels = tuple(heads(dataset, config))
    training = batches(
        train_files,
        graph,
        dataset=dataset,
        requests=config.batch_requests,
        labels=labels,
        shuffle_seed=dataset.seed,
        soft_labels=soft_labels,
    )
    evaluation = batches(eval_files, graph, dataset=dataset, requests=config.batch_requests, labels=labels)
    model = ranker(graph, dataset=dataset, config=config)
    # The older Adam updates a variable by one fused operation, the newer one by about twenty: a fifth of a step and seconds of tracing.
    model.compile(optimizer=keras.optimizers.legacy.Adam(config.learning_rate))
    averages = Averages(config.averaging)
    judge = Judge(evaluation, averages, patience=config.patience)
    budget = [Budget(config.max_impressions)] if config.max_impressions else []
    model.fit(training, epochs=config.epochs, verbose=0, callbacks=[averages, judge, *budget])
    _calibrate(model, evaluation)
    return model, judge.curve


def _calibrate(model: Ranker, evaluation: tf.data.Dataset) -> None:
    logits = tf.function(model.action_logits, reduce_retracing=True)
    told = [(logits(features).numpy(), labels.flat_values.numpy().reshape(-1, len(model.worth))) for features, labels in evaluation]
    given, labels = (np.concatenate(each).astype(np.float64) for each in zip(*told, strict=True))
    model.calibration.fit(given, labels, model.config.calibration)
