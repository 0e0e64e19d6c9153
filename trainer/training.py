"""Fitting a ranker."""

from collections.abc import Sequence
from typing import Any

import tensorflow_transform as tft
import tf_keras as keras

from components.contract.dataset import Dataset
from components.contract.features import Category, Id
from trainer.averages import Averages
from trainer.config import RankerConfig
from trainer.input import batches
from trainer.layout import CATEGORIES, layout, vocabulary_name
from trainer.model import Ranker
from trainer.progress import Budget, Judge
from trainer.warm_start import COLD, WarmStart, begin


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
) -> tuple[Ranker, list[dict[str, Any]]]:
    """The ranker with the weights of its best epoch by eval AUC, and the training curve (see `Judge`); `warm` is what it begins with."""
    training = batches(
        train_files, graph, dataset=dataset, requests=config.batch_requests, shuffle_seed=dataset.seed, since_us=warm.since_us
    )
    evaluation = batches(eval_files, graph, dataset=dataset, requests=config.batch_requests)
    model = ranker(graph, dataset=dataset, config=config)
    unseen = begin(model, next(iter(evaluation))[0], graph=graph, warm=warm)
    # The older Adam updates a variable by one fused operation, the newer one by about twenty: a fifth of a step and seconds of tracing.
    model.compile(optimizer=keras.optimizers.legacy.Adam(config.learning_rate))
    averages = Averages(config.averaging)
    judge = Judge(evaluation, averages, patience=config.patience)
    budget = [Budget(config.max_impressions)] if config.max_impressions else []
    model.fit(training, epochs=config.epochs, verbose=0, callbacks=[averages, judge, *budget, unseen])
    return model, judge.curve
