"""Dull rankers, from what the examples hold: those that the data has the columns for.

Shown order; popularity (`components.contract.popularity`); the item last seen first, then shown order or popularity; items by how often
they stand in the shopper's history, then by popularity.
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
    """Scores of all candidates [N] by the name of the rule."""
    found: dict[str, Scores] = {}
    position = features["position"].flat_values.numpy()
    if (position >= 0).all():
        found[SHOWN_ORDER] = (-position).astype(np.float32)
    if column := popularity_column(dataset):
        found[POPULARITY] = features[column].flat_values.numpy()
    if dataset.history and "item" in dataset.history.fields and found:
        of_item = crossing(features, "item", dataset.history.name)
        name, base = next(iter(found.items()))
        found[f"last seen, then {name}"] = np.where(of_item.events_since == 0, np.float32(1), _below_one(base))
        name, base = (POPULARITY, found[POPULARITY]) if column else (name, base)
        found[f"times in history, then {name}"] = of_item.times + _below_one(base)
    return found


def _below_one(scores: Scores) -> Scores:
    """The same order, within -1 and 1: the logarithm's order of the distinct scores, so that equal ones stay equal to the bit."""
    distinct, which = np.unique(scores, return_inverse=True)
    squeezed = np.sign(distinct) * np.log1p(np.abs(distinct)) / 90  # the logarithm of the greatest float32 is 88.7
    return np.asarray(squeezed.astype(np.float32)[which])
