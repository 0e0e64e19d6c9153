"""From a trained ranker to a SavedModel that takes raw features."""

import tensorflow as tf
import tensorflow_transform as tft

from components.contract.dataset import Dataset
from components.schema import doors
from components.schema.parsing import Features
from trainer.model import Ranker


def export(model: Ranker, graph: tft.TFTransformOutput, path: str, *, dataset: Dataset) -> None:
    """Write the model with the Transform graph inside and the doors of `components.schema.doors`.

    The Keras model itself isn't saved, only its variables and the doors: Keras would trace its own calls, with arguments that nobody asks
    for.
    """
    layer = graph.transform_features_layer()
    module = tf.Module()
    module.transform = layer  # owns the vocabularies' files
    module.weights = list(model.variables)

    def score(features: Features, _splits: tf.Tensor) -> tf.Tensor:
        return tf.sigmoid(model(layer(features), training=False))

    doors.save(module, score, path, dataset=dataset)
