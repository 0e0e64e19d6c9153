"""Estimate examination propensities for `position_bias: ips` by a short pilot training."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from numpy.typing import NDArray

from components.contract.dataset import Dataset
from trainer.config import RankerConfig, heads
from trainer.data.input_pipeline import Epochs, TrainingExamples
from trainer.fit.build import build_ranker
from trainer.fit.checkpoints import assign
from trainer.fit.train_step import TrainStep
from trainer.model.position_bias import Examination, curve

PILOT_STEPS = 600
"""A small split is read several times in so many steps, a large one not even once."""


def propensities(
    train_files: Sequence[str], graph: tft.TFTransformOutput, *, dataset: Dataset, config: RankerConfig, steps: int = PILOT_STEPS
) -> NDArray[np.float32]:
    """Estimate the probability of examination by position [PLACES], by a pilot training on this machine alone."""
    pilot = config.model_copy(update={"position_bias": "examination"})
    examples = TrainingExamples(train_files, labels=tuple(heads(dataset, config)))
    epochs = Epochs(examples, graph, dataset=dataset, requests=config.batch_requests, seed=dataset.seed)
    model = build_ranker(graph, dataset, pilot, sample=epochs.sample, precision="float32")
    assert isinstance(model.bias, Examination)
    step = TrainStep(model, config=pilot, rate=config.learning_rate)
    epoch, batches = 0, iter(epochs.epoch(0))
    for _ in range(steps):
        try:
            step(batches)
        except (StopIteration, tf.errors.OutOfRangeError):
            epoch += 1
            batches = iter(epochs.epoch(epoch))
    assign(model.trainable_variables, [average.numpy() for average in step.averages.variables])
    return curve(model.bias)
