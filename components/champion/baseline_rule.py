"""Which dull rule the baseline follows, and what a champion is in words. Imports no TensorFlow: a report names it."""

from typing import Literal

from components.contract.dataset import Dataset
from components.contract.popularity import popularity_column
from components.contract.sources import ListRows

Rule = Literal["shown order", "popularity", "constant"]
BASELINE = "baseline"
"""What the champion is called where no release stands against the new model."""

_ORDERS: dict[Rule, str] = {
    "shown order": "the order in which the shop showed the products",
    "popularity": "an order by popularity",
    "constant": "no order at all: one score for all products",
}


def choose_rule(dataset: Dataset) -> Rule:
    """Shown order where the logs know it, else popularity where something of the items is counted, else one score for all."""
    if isinstance(dataset.candidates, ListRows) or any(source.columns.position for source in dataset.events):
        return "shown order"
    return "popularity" if popularity_column(dataset) else "constant"


def champion_order(champion: str, dataset: Dataset) -> str:
    """The champion's order in words, to stand after "in": `the order of release 3`.

    Args:
        champion: what the step Champion called it.
        dataset: of the run.
    """
    return _ORDERS[choose_rule(dataset)] if champion == BASELINE else f"the order of {champion}"
