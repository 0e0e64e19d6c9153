"""Export a trained ranker as a SavedModel that takes raw features."""

import tensorflow as tf
import tensorflow_transform as tft

from components.contract.dataset import Dataset
from components.schema import signatures
from components.schema.parsing import Features
from trainer.config import heads
from trainer.export.integrated_gradients import explained, explained_names
from trainer.model.dcn import mean_logit
from trainer.model.ranker import Ranker


def export(model: Ranker, graph: tft.TFTransformOutput, path: str, *, dataset: Dataset) -> None:
    """Write the model, including the Transform graph, with the signatures of `components.schema.signatures`.

    The Keras model itself isn't saved, only its variables and the signatures: Keras would trace its own calls too,
    which nothing uses.
    """
    layer = graph.transform_features_layer()
    module = tf.Module()
    module.transform = layer  # owns the vocabularies' files
    module.weights = list(model.variables)

    names = [label.replace("label", "chance", 1) for label in heads(dataset, model.config)]

    def score(features: Features, _splits: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = model.action_logits(layer(features))
        # The probability of each action, for a shop that weighs them otherwise than its dataset file does.
        chances = dict(zip(names, tf.unstack(tf.sigmoid(logits), axis=1), strict=True)) if len(names) > 1 else {}
        return {"scores": tf.sigmoid(mean_logit(logits, model.action_weights)), **chances}

    def reasons(features: Features, _splits: tf.Tensor) -> dict[str, tf.Tensor]:
        return explained(model, layer(features), dataset=dataset)

    signatures.save(module, score, path, dataset=dataset, reasons=signatures.Reasons(reasons, explained_names(dataset)))
