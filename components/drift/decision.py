"""What to do about a serving window, and why: nothing, retrain warm or in full, or freeze and call a person."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Action(StrEnum):
    """What to do, from the mildest to the most urgent."""

    NOTHING = "nothing"
    RETRAIN_WARM = "retrain warm"
    RETRAIN_FULL = "retrain full"
    FREEZE = "freeze"

    @property
    def urgency(self) -> int:
        """Position in the order of urgency, from 0."""
        return list(Action).index(self)


@dataclass(frozen=True, kw_only=True)
class Reason:
    """A finding that supports an action.

    Attributes:
        action: that it alone would ask for.
        kind: of the fault, such as "broken feature" or "changed unit".
        subject: a feature, a table, a slice or a measure.
        text: one sentence with its figures.
    """

    action: Action
    kind: str
    subject: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The most urgent action that the reasons ask for; reasons come with the most urgent first."""

    action: Action
    reasons: tuple[Reason, ...]

    def to_json(self) -> str:
        """Serialize as a JSON document that `parse_decision` reads."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1)


def decide(reasons: Sequence[Reason]) -> Decision:
    """Return the decision that the reasons add up to; equally urgent ones keep their order."""
    ordered = tuple(sorted(reasons, key=lambda reason: -reason.action.urgency))
    return Decision(action=ordered[0].action if ordered else Action.NOTHING, reasons=ordered)


def parse_decision(text: str) -> Decision:
    """Parse what `Decision.to_json` wrote."""
    return decision_from_json(json.loads(text))


def decision_from_json(fields: dict[str, Any]) -> Decision:
    """Return the decision of a parsed document."""
    reasons = tuple(Reason(**{**reason, "action": Action(reason["action"])}) for reason in fields["reasons"])
    return Decision(action=Action(fields["action"]), reasons=reasons)
