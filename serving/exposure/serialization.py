"""Serialize decisions and events as JSON lines, in the columns that the pipeline reads."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, final

from components.contract.base_model import closest
from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.features import GivenFeature
from components.contract.sources import AMOUNTS, EVENT_ROLES, Impressions
from serving.exposure.event_types import Exposure, Interaction, ShadowScores
from serving.exposure.json_values import replace_surrogates, to_column_type, to_json

ROLES = tuple(role for role in EVENT_ROLES if role not in ("order", "label", *AMOUNTS))
RULED = "ruled"  # names of the rules that moved the item, joined by "|"
VERSION, ARMS = "version", "arms"  # of an impression in a stream; files have them in the decision


@final
class EventRows:
    """Build rows of the dataset's event log: the same columns in every row, null where there is no value.

    Args:
        dataset: defines the features in event rows, and the values of actions.

    Attributes:
        columns: role to column.
        amounts: role to column, of the amounts that the dataset names; interactions have them, impressions don't.
        ruled: column of the rules that moved the item.
        version: column of the model's version, of impressions in a stream.
        arms: likewise of the shopper's arms, as JSON.
        context: features of the context and the shopper, by column.
        item_features: features of the items, by column.
        actions: an action's name to its value in the log.
    """

    def __init__(self, dataset: Dataset) -> None:
        event_features = [feature for feature in dataset.input_features("events") if not feature.from_clock]
        self.context = {feature.key: feature for feature in event_features if feature.side != "item"}
        self.item_features = {feature.key: feature for feature in event_features if feature.side == "item"}
        taken = {*self.context, *self.item_features}
        self.columns = {role: _unused_name(role, taken) for role in ROLES}
        self.amounts = {amount: _unused_name(amount, taken) for amount in dataset.amounts}
        self.ruled, self.version, self.arms = (_unused_name(name, taken) for name in (RULED, VERSION, ARMS))
        self.actions = {name: (action.values or (name,))[0] for name, action in dataset.actions.items()}
        self._impression = dataset.candidates.action if isinstance(dataset.candidates, Impressions) else None

    def impressions(self, exposure: Exposure) -> list[dict[str, Any]]:
        """Return a row for each impression; none where the dataset doesn't take its candidates from impressions."""
        if self._impression is None:
            return []
        context = self._features(self.context, exposure.context)
        ruled = _rules_by_item(exposure)
        rows = []
        for rank, candidate in enumerate(exposure.order[: exposure.shown]):
            item = exposure.items[candidate]
            shown = self._features(self.item_features, {key: values[candidate] for key, values in exposure.values.items()})
            roles = self._roles(exposure, self._impression, item, exposure.request, exposure.first_position + rank)
            rows.append({**roles, **context, **shown, self.ruled: ruled.get(item)})
        return rows

    def interaction(self, interaction: Interaction) -> dict[str, Any]:
        """Return the row of an interaction.

        Raises:
            InputError: the action isn't in the dataset file.
        """
        if interaction.action not in self.actions:
            suggestion = closest(interaction.action, list(self.actions))
            raise InputError(f"the dataset file has no action {interaction.action!r}; {suggestion}")
        roles = self._roles(interaction, interaction.action, interaction.item, interaction.request, interaction.position)
        context = self._features(self.context, interaction.context)
        amounts = {column: _number(interaction.amounts.get(amount)) for amount, column in self.amounts.items()}
        return {**roles, **amounts, **context, **self._features(self.item_features, interaction.values), self.ruled: None}

    def _roles(self, event: Exposure | Interaction, action: str, item: str, request: str, position: int | None) -> dict[str, Any]:
        values = {
            "time": event.time_us,
            "user": replace_surrogates(event.shopper) or None,
            "item": replace_surrogates(item) or None,
            "action": self.actions[action],
            "request": replace_surrogates(request) or None,
            "session": replace_surrogates(event.session) or None,
            "position": position,
        }
        return {self.columns[role]: value for role, value in values.items()}

    @staticmethod
    def _features(features: Mapping[str, GivenFeature], values: Mapping[str, Any]) -> dict[str, Any]:
        return {key: to_column_type(feature, values.get(key)) for key, feature in features.items()}


def decision_row(exposure: Exposure) -> dict[str, Any]:
    """Return a whole decision, for later audits: scores and rules apart."""
    return {
        "request": replace_surrogates(exposure.request),
        "time": exposure.time_us,
        "user": replace_surrogates(exposure.shopper) or None,
        "session": replace_surrogates(exposure.session) or None,
        "label": exposure.label,
        "version": exposure.version,
        "arms": to_json(dict(exposure.arms)),
        "degraded": exposure.degraded,
        "source": exposure.source,
        "model_ms": None if exposure.model_ms is None else round(exposure.model_ms, 3),
        "items": to_json(list(exposure.items)),
        "scores": None if exposure.scores is None else to_json(list(exposure.scores)),
        "order": [int(index) for index in exposure.order],
        "shown": exposure.shown,
        **({"first_position": exposure.first_position} if exposure.first_position else {}),
        **({} if exposure.interleaved is None else {"interleaved": to_json(asdict(exposure.interleaved))}),
        "rules": [
            {"rule": effect.rule, "kind": effect.kind, "moved": [[replace_surrogates(m.item), m.before, m.after] for m in effect.moved]}
            for effect in exposure.effects
        ],
        "features": None if exposure.features is None else to_json(dict(exposure.features)),
    }


def shadow_row(shadow: ShadowScores) -> dict[str, Any]:
    """Return a shadow's scores; the decision of the same request has the items."""
    return {
        "request": replace_surrogates(shadow.request),
        "time": shadow.time_us,
        "label": shadow.label,
        "version": shadow.version,
        "scores": to_json(list(shadow.scores)),
    }


def json_lines(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Serialize rows, one JSON object a line."""
    return b"".join(json.dumps(row, separators=(",", ":"), allow_nan=False).encode() + b"\n" for row in rows)


def _number(amount: float | None) -> float | None:
    """Return an amount as a float whatever its type: a column must keep to one type."""
    return None if amount is None else to_json(float(amount))


def _rules_by_item(exposure: Exposure) -> dict[str, str]:
    rules: dict[str, str] = {}
    for effect in exposure.effects:
        for moved in effect.moved:
            if moved.before != moved.after:
                rules[moved.item] = f"{rules[moved.item]}|{effect.rule}" if moved.item in rules else effect.rule
    return rules


def _unused_name(name: str, taken: set[str]) -> str:
    """Prefix a name until no feature's column has it: a shop may log a feature named `action`."""
    while name in taken:
        name = f"_{name}"
    return name
