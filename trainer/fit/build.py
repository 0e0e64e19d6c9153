"""Build a ranker for a dataset, with its embedding tables sized by the Transform graph's vocabularies."""

import tensorflow as tf
import tensorflow_transform as tft
import tf_keras as keras

from components.contract.dataset import Dataset
from components.contract.features import Category, Id
from trainer.config import RankerConfig
from trainer.data.input_pipeline import Batch
from trainer.model.network_inputs import CATEGORIES, layout, vocabulary_name
from trainer.model.ranker import Ranker


def ranker(graph: tft.TFTransformOutput, *, dataset: Dataset, config: RankerConfig) -> Ranker:
    """Return an untrained ranker; most of its variables are created by its first call."""
    features = layout(dataset).features
    names = {vocabulary_name(feature) for feature in features if isinstance(feature, Id) and not feature.hashed}
    names |= {CATEGORIES for feature in features if isinstance(feature, Category)}
    return Ranker(dataset, config, {name: graph.vocabulary_size_by_name(name) for name in names})


def build_ranker(graph: tft.TFTransformOutput, dataset: Dataset, config: RankerConfig, *, sample: Batch, precision: str) -> Ranker:
    """Return an untrained ranker with all its variables, created in the strategy in scope by a call on `sample`."""
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
