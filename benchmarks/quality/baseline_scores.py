"""Score candidates by baseline rules, as far as the examples have the columns.

Shown order; popularity (`components.contract.popularity`); the item last seen first, then shown order or popularity;
items by how often they stand in the shopper's history, then by popularity.
"""

import numpy as np

from benchmarks.quality.split_data import Scores
from components.contract.dataset import Dataset
from components.contract.popularity import popularity_column
from components.schema.parsing import Features
from trainer.distillation.history_features import crossing

SHOWN_ORDER = "shown order"
POPULARITY = "popularity"


def rules(dataset: Dataset, features: Features) -> dict[str, Scores]:
    """Score all candidates [N] by each rule."""
    rankers: dict[str, Scores] = {}
    position = features["position"].flat_values.numpy()
    if (position >= 0).all():
        rankers[SHOWN_ORDER] = (-position).astype(np.float32)
    if column := popularity_column(dataset):
        rankers[POPULARITY] = features[column].flat_values.numpy()
    if dataset.history and "item" in dataset.history.fields and rankers:
        of_item = crossing(features, "item", dataset.history.name)
        name, base = next(iter(rankers.items()))
        rankers[f"last seen, then {name}"] = np.where(of_item.events_since == 0, np.float32(1), _below_one(base))
        name, base = (POPULARITY, rankers[POPULARITY]) if column else (name, base)
        rankers[f"times in history, then {name}"] = of_item.times + _below_one(base)
    return rankers


def _below_one(scores: Scores) -> Scores:
    """Map scores to [-1, 1] by a logarithm of the distinct scores, with the same order and the same ties."""
    distinct, which = np.unique(scores, return_inverse=True)
    squeezed = np.sign(distinct) * np.log1p(np.abs(distinct)) / 90  # the logarithm of the greatest float32 is 88.7
    return np.asarray(squeezed.astype(np.float32)[which])
