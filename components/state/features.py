"""From the feature table to the reducer and back: what state a dataset keeps on each side, and its state features from raw ones."""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from components.contract.columns import state_columns
from components.contract.dataset import Dataset
from components.contract.features import StateFeature
from components.contract.sources import Impressions, ListRows
from components.state.plan import StatePlan, count_index, recency_index, session_age_index, session_events_index, total_index
from components.state.smoothing import smoothed_rate

StateSide = Literal["user", "item"]
Reader = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # (Q, width) raw features to (Q,) values of a column


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
    return {name: of(values) for name, of in state_readers(dataset, side).items()}


def state_readers(dataset: Dataset, side: StateSide) -> dict[str, Reader]:
    """For each column of `state_values`, how it is read; for a service, which asks the table once and reads often."""
    plan = plan_of(dataset, side)
    if plan is None:
        return {}
    features = _features(dataset, side)
    return {
        name: _reader(dataset, plan, feature, place) for feature in features for place, name in enumerate(state_columns(dataset, feature))
    }


def interactions(dataset: Dataset, values: NDArray[np.float32]) -> NDArray[np.int64]:
    """How many labelled or remembered actions a user has taken so far, from the user side's raw features (Q, width)."""
    total: NDArray[np.float32] = values[:, interaction_places(dataset)].sum(axis=1)
    return total.astype(np.int64)


def interaction_places(dataset: Dataset) -> list[int]:
    """Where the user side's raw features hold what `interactions` adds up."""
    plan = plan_of(dataset, "user")
    assert plan is not None
    return [total_index(plan, action) for action in plan.actions if action in dataset.label_gains or action in plan.history_actions]


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


def _reader(dataset: Dataset, plan: StatePlan, feature: StateFeature, place: int) -> Reader:
    match feature.measure:
        case "count":
            return _at(count_index(plan, str(feature.action), half_life_s=dataset.half_lives_of(feature)[place]))
        case "rate":
            half_life = dataset.half_lives_of(feature)[place]
            taken, shown = (count_index(plan, str(action), half_life_s=half_life) for action in (feature.action, feature.per))
            return lambda values: smoothed_rate(values[:, taken], values[:, shown], prior=feature.prior, strength=feature.strength)
        case "total":
            return _at(total_index(plan, str(feature.action)))
        case "recency":
            return _at(recency_index(plan, str(feature.action)))
        case "session_events":
            return _at(session_events_index(plan))
        case "session_age":
            return _at(session_age_index(plan))


def _at(place: int) -> Reader:
    return lambda values: values[:, place]
