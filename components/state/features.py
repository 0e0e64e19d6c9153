"""Derive the state plans from the dataset file, and compute its state features from the raw ones."""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from components.contract.columns import state_columns
from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.features import StateFeature
from components.contract.sources import Impressions, ListRows
from components.state.plan import StatePlan, count_index, recency_index, session_age_index, session_events_index, total_index

StateSide = Literal["user", "item"]
Reader = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # (Q, width) raw features to (Q,) values of a column


def plan_of(dataset: Dataset, side: StateSide) -> StatePlan | None:
    """Derive the state plan of the users or the items; None where no feature needs one.

    All actions are kept of users, for sessions and the number of interactions; of items those that a feature names.
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
    """Compute the columns of a side's state features.

    Args:
        dataset: has the feature table.
        side: user (with the running session) or item.
        values: (Q, width) raw features, laid out as the side's plan says.

    Returns:
        Column name to (Q,) values, in the table's order.
    """
    return {name: reader(values) for name, reader in state_readers(dataset, side).items()}


def state_readers(dataset: Dataset, side: StateSide) -> dict[str, Reader]:
    """Return a function for each column of `state_values`, for a service to make once and call for every request."""
    plan = plan_of(dataset, side)
    if plan is None:
        return {}
    features = _features(dataset, side)
    return {
        name: _reader(dataset, plan, feature, index) for feature in features for index, name in enumerate(state_columns(dataset, feature))
    }


def interactions(dataset: Dataset, values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Count a user's labelled and history actions so far, from the user side's raw features (Q, width)."""
    total: NDArray[np.float32] = values[:, interaction_indices(dataset)].sum(axis=1)
    return total.astype(np.int64)


def interaction_indices(dataset: Dataset) -> list[int]:
    """Return the indices into the user side's raw features that `interactions` adds up."""
    plan = plan_of(dataset, "user")
    assert plan is not None
    return [total_index(plan, action) for action in plan.actions if action in dataset.label_gains or action in plan.history_actions]


def counted_impression(dataset: Dataset) -> str | None:
    """Return the action that a shown list counts as, for its user and its items; None where it counts as none."""
    match dataset.candidates:
        case Impressions(action=name):
            return name
        case ListRows() if "impression" in dataset.actions:
            return "impression"
    return None


def smoothed_rate(n: ArrayLike, d: ArrayLike, *, prior: float, strength: float) -> NDArray[np.float32]:
    """Compute (n + prior * strength) / (d + strength), a Beta posterior's mean whose prior weighs `strength` trials.

    Computed in float32 one element at a time, so that offline columns and a single row online agree bit for bit. It
    exceeds 1 where n exceeds d, as with clicks whose impressions weren't logged.

    Args:
        n: successes, such as clicks; any shape.
        d: trials, such as impressions; a shape that broadcasts with it.
        prior: the rate without evidence.
        strength: > 0.

    Raises:
        InputError: when `strength` isn't above 0, which would leave 0 / 0 for keys never seen.
    """
    if not strength > 0:
        raise InputError(f"the strength of a prior is above 0, got {strength}; it is the number of trials that the prior weighs")
    weight = np.float32(strength)
    return (np.asarray(n, np.float32) + np.float32(prior) * weight) / (np.asarray(d, np.float32) + weight)


def _features(dataset: Dataset, side: StateSide) -> tuple[StateFeature, ...]:
    sides = ("user", "context") if side == "user" else ("item",)
    return tuple(feature for feature in dataset.state_features if feature.side in sides)


def _reader(dataset: Dataset, plan: StatePlan, feature: StateFeature, index: int) -> Reader:
    match feature.measure:
        case "count":
            return _at(count_index(plan, str(feature.action), half_life_s=dataset.half_lives_of(feature)[index]))
        case "rate":
            half_life = dataset.half_lives_of(feature)[index]
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


def _at(index: int) -> Reader:
    return lambda values: values[:, index]
