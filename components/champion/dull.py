"""The dull baseline: no training, one rule, behind the same doors as a model. What can't beat it isn't worth serving."""

import tensorflow as tf

from components.champion.rule import Rule, dull_rule, popularity_column
from components.contract.dataset import Dataset
from components.schema import doors
from components.schema.parsing import Features


def export_dull(dataset: Dataset, path: str) -> Rule:
    """Write the baseline as a SavedModel with the doors of `components.schema.doors`; returns the rule it follows.

    - shown order: 1 / (2 + position). A request to `serving_default` has no position unless that is a feature; there the candidates' order
      in the request stands for it, as it does where a position is unknown (-1).
    - popularity: min(1, log(1 + count) / 30), which keeps counts apart that differ by one in half a million; a missing count is 0.
    - constant: 1 / 2.
    """
    rule = dull_rule(dataset)
    column = popularity_column(dataset)

    def score(features: Features, splits: tf.Tensor) -> tf.Tensor:
        match rule:
            case "shown order":
                place = _places(splits)
                shown = features["position"].flat_values if "position" in features else place
                return 1 / (2 + tf.cast(tf.where(shown < 0, place, shown), tf.float32))
            case "popularity":
                counts = features[str(column)].flat_values
                return tf.minimum(tf.math.log1p(tf.where(tf.math.is_nan(counts), 0.0, counts)) / 30, 1.0)
            case "constant":
                return tf.fill(splits[-1:], 0.5)

    doors.save(tf.Module(), lambda *given: {"scores": score(*given)}, path, dataset=dataset)
    return rule


def _places(splits: tf.Tensor) -> tf.Tensor:
    """0, 1, 2, ... within each request, flat [N]."""
    lengths = splits[1:] - splits[:-1]
    return tf.range(splits[-1]) - tf.repeat(splits[:-1], lengths)
