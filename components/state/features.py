"""From the feature table to the reducer and back: what state a dataset keeps on each side, and its state features from raw ones."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from components.contract.columns import state_columns
from components.contract.dataset import Dataset
from components.contract.features import StateFeature
from components.contract.sources import Impressions, ListRows
from components.state.plan import StatePlan, count_index, recency_index, session_age_index, session_events_index, total_index
from components.state.rates import smoothed_rate

StateSide = Literal["user", "item"]


def plan_of(dataset: Dataset, side: StateSide) -> StatePlan | None:
    """What is kept of each user or each item; None where the dataset asks for nothing.

    Users keep all actions, for sessions and the number of interactions; items those that a feature names.
    """
    features = _features(dataset, side)
    history = dataset.history if side == "user" else None
    if side == "item" and not features:
        return None
    named = {action for feature in features for action in (feature.action, feature.per) if action}
    half_lives = sorted({half_life for f in features if f.measure in ("count", "rate") for half_life in dataset.half_lives_of(f)})
    return StatePlan(
        actions=tuple(action for action in dataset.actions if side == "user" or action in named),
        half_lives_s=tuple(half_lives),
        history_actions=history.actions if history else (),
        history_length=history.length if history else 0,
        session_gap_us=int(dataset.session_gap * 1e6),
    )


def state_values(dataset: Dataset, side: StateSide, values: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """The columns of a side's state features.

    Args:
        dataset: has the feature table.
        side: user (with the running session) or item.
        values: (Q, width) raw features, laid out as the side's plan says.

    Returns:
        Column name to (Q,) values, in the table's order.
    """
    plan = plan_of(dataset, side)
    if plan is None:
        return {}
    out: dict[str, NDArray[np.float32]] = {}
    for feature in _features(dataset, side):
        columns = state_columns(dataset, feature)
        for place, name in enumerate(columns):
            out[name] = _value(dataset, plan, feature, place, values)
    return out


def interactions(dataset: Dataset, values: NDArray[np.float32]) -> NDArray[np.int64]:
    """How many labelled or remembered actions a user has taken so far, from the user side's raw features (Q, width)."""
    plan = plan_of(dataset, "user")
    assert plan is not None
    counted = [action for action in plan.actions if action in dataset.label_gains or action in plan.history_actions]
    total: NDArray[np.float32] = values[:, [total_index(plan, action) for action in counted]].sum(axis=1)
    return total.astype(np.int64)


def counted_impression(dataset: Dataset) -> str | None:
    """The action that a list which was shown counts as, for its shopper and for each of its items; None where lists count for nothing."""
    match dataset.candidates:
        case Impressions(action=name):
            return name
        case ListRows() if "impression" in dataset.actions:
            return "impression"
    return None


def _features(dataset: Dataset, side: StateSide) -> tuple[StateFeature, ...]:
    sides = ("user", "context") if side == "user" else ("item",)
    return tuple(feature for feature in dataset.state_features if feature.side in sides)


def _value(dataset: Dataset, plan: StatePlan, feature: StateFeature, place: int, values: NDArray[np.float32]) -> NDArray[Any]:
    match feature.measure:
        case "count":
            return values[:, count_index(plan, str(feature.action), half_life_s=dataset.half_lives_of(feature)[place])]
        case "rate":
            half_life = dataset.half_lives_of(feature)[place]
            taken, shown = (values[:, count_index(plan, str(action), half_life_s=half_life)] for action in (feature.action, feature.per))
            return smoothed_rate(taken, shown, prior=feature.prior, strength=feature.strength)
        case "total":
            return values[:, total_index(plan, str(feature.action))]
        case "recency":
            return values[:, recency_index(plan, str(feature.action))]
        case "session_events":
            return values[:, session_events_index(plan)]
        case "session_age":
            return values[:, session_age_index(plan)]
