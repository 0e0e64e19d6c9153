"""Choose the baseline's rule, and name the champion's order in words. Imports no TensorFlow, as reports use it."""

from typing import Literal

from components.contract.dataset import Dataset
from components.contract.popularity import popularity_column
from components.contract.sources import ListRows

Rule = Literal["shown order", "popularity", "constant"]
BASELINE = "baseline"
"""The champion's name where there is no release to compare with."""

_ORDERS: dict[Rule, str] = {
    "shown order": "the order in which the shop showed the products",
    "popularity": "an order by popularity",
    "constant": "no order at all: one score for all products",
}


def choose_rule(dataset: Dataset) -> Rule:
    """Choose the shown order if the logs have it, else popularity if the items have a count or rate, else a constant."""
    if isinstance(dataset.candidates, ListRows) or any(source.columns.position for source in dataset.events):
        return "shown order"
    return "popularity" if popularity_column(dataset) else "constant"


def champion_order(champion: str, dataset: Dataset) -> str:
    """Name the champion's order, to follow "in": `the order of release 3`.

    Args:
        champion: the artifact's property `champion`.
        dataset: of the run.
    """
    return _ORDERS[choose_rule(dataset)] if champion == BASELINE else f"the order of {champion}"
