"""The dull baseline: no training, one rule, behind the same doors as a model. What can't beat it isn't worth serving."""

from typing import Literal

import tensorflow as tf

from components.contract.columns import state_columns
from components.contract.dataset import Dataset
from components.contract.sources import ListRows
from components.schema import doors
from components.schema.parsing import Features

Rule = Literal["shown order", "popularity", "constant"]


def dull_rule(dataset: Dataset) -> Rule:
    """Shown order where the logs know it, else popularity where something of the items is counted, else one score for all."""
    if isinstance(dataset.candidates, ListRows) or any(source.columns.position for source in dataset.events):
        return "shown order"
    return "popularity" if popularity_column(dataset) else "constant"


def popularity_column(dataset: Dataset) -> str | None:
    """The first count of the items' actions in the feature table, with its longest half-life; a total never fades."""
    for state in dataset.state_features:
        if state.side == "item" and state.measure == "total":
            return state.name
        if state.side == "item" and state.measure == "count":
            half_lives = dataset.half_lives_of(state)
            return state_columns(dataset, state)[half_lives.index(max(half_lives))]
    return None


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
