"""Fitting a ranker."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
import tf_keras as keras
from numpy.typing import NDArray

from components.contract.dataset import Dataset
from components.contract.features import Category, Id
from trainer.averages import Averages
from trainer.config import RankerConfig
from trainer.input import batches
from trainer.layout import CATEGORIES, layout, vocabulary_name
from trainer.model import Ranker
from trainer.position_bias import Examination, InversePropensity, curve
from trainer.progress import Budget, Judge

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
    train_files: Sequence[str], eval_files: Sequence[str], graph: tft.TFTransformOutput, *, dataset: Dataset, config: RankerConfig
) -> tuple[Ranker, list[dict[str, Any]]]:
    """The ranker with the weights of its best epoch by eval AUC, and the training curve (see `Judge`)."""
    training = batches(train_files, graph, dataset=dataset, requests=config.batch_requests, shuffle_seed=dataset.seed)
    evaluation = batches(eval_files, graph, dataset=dataset, requests=config.batch_requests)
    model = ranker(graph, dataset=dataset, config=config)
    if isinstance(model.bias, InversePropensity):
        model.bias.assign(propensities(training, graph, dataset=dataset, config=config))
    _compile(model, config)
    averages = Averages(config.averaging)
    judge = Judge(evaluation, averages, patience=config.patience)
    budget = [Budget(config.max_impressions)] if config.max_impressions else []
    model.fit(training, epochs=config.epochs, verbose=0, callbacks=[averages, judge, *budget])
    return model, judge.curve


def propensities(
    training: tf.data.Dataset, graph: tft.TFTransformOutput, *, dataset: Dataset, config: RankerConfig, steps: int = PILOT_STEPS
) -> NDArray[np.float32]:
    """How likely each place is looked at [PLACES], as a short training of the `examination` model finds it."""
    pilot = ranker(graph, dataset=dataset, config=config.model_copy(update={"position_bias": "examination"}))
    assert isinstance(pilot.bias, Examination)
    _compile(pilot, config)
    averages = Averages(config.averaging)
    pilot.fit(training.repeat(), steps_per_epoch=steps, verbose=0, callbacks=[averages])
    with averages.in_place():
        return curve(pilot.bias)


def _compile(model: Ranker, config: RankerConfig) -> None:
    # The older Adam updates a variable by one fused operation, the newer one by about twenty: a fifth of a step and seconds of tracing.
    model.compile(optimizer=keras.optimizers.legacy.Adam(config.learning_rate))
