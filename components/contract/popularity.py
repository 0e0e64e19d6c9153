"""Define popularity, for the baseline, the service's fallback and candidate sources, and the benchmarks."""

from components.contract.columns import state_columns
from components.contract.dataset import Dataset
from components.contract.features import StateFeature


def popularity_column(dataset: Dataset) -> str | None:
    """Return the input column of the items' popularity, or None where the dataset has no such feature."""
    best = popularity_feature(dataset)
    return None if best is None else state_columns(dataset, best)[popularity_half_life(dataset, best)]


def popularity_feature(dataset: Dataset) -> StateFeature | None:
    """Return the state feature of the items' popularity.

    The feature table's first rate, count or total of an action that the model learns from, else of any action; rates before counts, which
    rise with how often a product is shown. docs/how-to/cold-start.md has what either is worth.
    """
    of_items = [feature for feature in dataset.state_features if feature.side == "item"]
    rates = [feature for feature in of_items if feature.measure == "rate"]
    counts = [feature for feature in of_items if feature.measure in ("count", "total")]
    ranked = [*rates, *counts]
    labelled = [feature for feature in ranked if feature.action in dataset.label_gains]
    return next(iter([*labelled, *ranked]), None)


def popularity_half_life(dataset: Dataset, feature: StateFeature) -> int:
    """Return the index of a feature's longest half-life, which has the most evidence."""
    if feature.measure == "total":
        return 0
    half_lives = dataset.half_lives_of(feature)
    return half_lives.index(max(half_lives))
