"""Decisions and events as lines of JSON, in the columns that the pipeline reads back."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, final

from components.contract.base_model import closest
from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.features import GivenFeature
from components.contract.sources import AMOUNTS, EVENT_ROLES, Impressions
from serving.exposure.event_types import Exposure, Interaction, Shadowed
from serving.exposure.json_values import plain, typed, well_formed

ROLES = tuple(role for role in EVENT_ROLES if role not in ("order", "label", *AMOUNTS))
RULED = "ruled"  # names of the rules that moved an impression's item, joined by "|"


@final
class EventRows:
    """Rows of the dataset's event log: the same columns in every row, null where there is nothing to say.

    Args:
        dataset: says which features stand in event rows, and how actions are written.

    Attributes:
        columns: role to column.
        amounts: role to column, of the amounts that the dataset names; interactions have them, impressions don't.
        actions: an action's name to how it is written.
    """

    def __init__(self, dataset: Dataset) -> None:
        given = [feature for feature in dataset.given("events") if not feature.key.startswith("time.")]
        self._around = {feature.key: feature for feature in given if feature.side != "item"}
        self._of_item = {feature.key: feature for feature in given if feature.side == "item"}
        taken = {*self._around, *self._of_item}
        self.columns = {role: _free(role, taken) for role in ROLES}
        self.amounts = {amount: _free(amount, taken) for amount in dataset.amounts}
        self.ruled = _free(RULED, taken)
        self.actions = {name: (action.values or (name,))[0] for name, action in dataset.actions.items()}
        self._impression = dataset.candidates.action if isinstance(dataset.candidates, Impressions) else None

    def impressions(self, exposure: Exposure) -> list[dict[str, Any]]:
        """A row for each candidate seen; none where the dataset doesn't take its candidates from impressions."""
        if self._impression is None:
            return []
        around = self._features(self._around, exposure.context)
        ruled = _rules_by_item(exposure)
        rows = []
        for place, at in enumerate(exposure.order[: exposure.shown]):
            item = exposure.items[at]
            shown = self._features(self._of_item, {key: values[at] for key, values in exposure.values.items()})
            roles = self._roles(exposure, self._impression, item, exposure.request, exposure.first_position + place)
            rows.append({**roles, **around, **shown, self.ruled: ruled.get(item)})
        return rows

    def interaction(self, interaction: Interaction) -> dict[str, Any]:
        """Its row.

        Raises:
            InputError: the dataset file doesn't know the action.
        """
        if interaction.action not in self.actions:
            known = closest(interaction.action, list(self.actions))
            raise InputError(f"the dataset file has no action {interaction.action!r}; {known}")
        roles = self._roles(interaction, interaction.action, interaction.item, interaction.request, interaction.position)
        around = self._features(self._around, interaction.context)
        amounts = {column: _number(interaction.amounts.get(amount)) for amount, column in self.amounts.items()}
        return {**roles, **amounts, **around, **self._features(self._of_item, interaction.values), self.ruled: None}

    def _roles(self, told: Exposure | Interaction, action: str, item: str, request: str, position: int | None) -> dict[str, Any]:
        values = {
            "time": told.time_us,
            "user": well_formed(told.shopper) or None,
            "item": well_formed(item) or None,
            "action": self.actions[action],
            "request": well_formed(request) or None,
            "session": well_formed(told.session) or None,
            "position": position,
        }
        return {self.columns[role]: value for role, value in values.items()}

    @staticmethod
    def _features(features: Mapping[str, GivenFeature], given: Mapping[str, Any]) -> dict[str, Any]:
        return {key: typed(feature, given.get(key)) for key, feature in features.items()}


def decision(exposure: Exposure) -> dict[str, Any]:
    """A decision whole, for whoever asks later why a shelf looked as it did: scores and rules apart."""
    return {
        "request": well_formed(exposure.request),
        "time": exposure.time_us,
        "user": well_formed(exposure.shopper) or None,
        "session": well_formed(exposure.session) or None,
        "label": exposure.label,
        "version": exposure.version,
        "arms": plain(dict(exposure.arms)),
        "degraded": exposure.degraded,
        "source": exposure.source,
        "model_ms": None if exposure.model_ms is None else round(exposure.model_ms, 3),
        "items": plain(list(exposure.items)),
        "scores": None if exposure.scores is None else plain(list(exposure.scores)),
        "order": [int(at) for at in exposure.order],
        "shown": exposure.shown,
        **({"first_position": exposure.first_position} if exposure.first_position else {}),
        "rules": [
            {"rule": effect.rule, "kind": effect.kind, "moved": [[well_formed(m.item), m.before, m.after] for m in effect.moved]}
            for effect in exposure.effects
        ],
        "features": None if exposure.features is None else plain(dict(exposure.features)),
    }


def shadow(told: Shadowed) -> dict[str, Any]:
    """What would have been; a decision of the same request says of which items."""
    return {
        "request": well_formed(told.request),
        "time": told.time_us,
        "label": told.label,
        "version": told.version,
        "scores": plain(list(told.scores)),
    }


def lines(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """One JSON object a line."""
    return b"".join(json.dumps(row, separators=(",", ":"), allow_nan=False).encode() + b"\n" for row in rows)


def _number(amount: float | None) -> float | None:
    """An amount as a float whatever it came as: a column must keep to one type."""
    return None if amount is None else plain(float(amount))


def _rules_by_item(exposure: Exposure) -> dict[str, str]:
    found: dict[str, str] = {}
    for effect in exposure.effects:
        for moved in effect.moved:
            if moved.before != moved.after:
                found[moved.item] = f"{found[moved.item]}|{effect.rule}" if moved.item in found else effect.rule
    return found


def _free(name: str, taken: set[str]) -> str:
    """A name that no feature's column has: a shop may log something of its own as `action`."""
    while name in taken:
        name = f"_{name}"
    return name
