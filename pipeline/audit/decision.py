"""Read a decision as it was logged: who asked, what was answered, and by what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from components.contract.values.local_time import moment
from serving.rules.apply import by_score


@dataclass(frozen=True)
class RuleEffect:
    """What a rule did: for each item its place before and after, from 0; None after where it was filtered."""

    rule: str
    kind: str
    moved: Sequence[tuple[str, int, int | None]]


@dataclass(frozen=True)
class Decision:
    """A line of `decisions-*.jsonl`; see docs/reference/exposure-log.md.

    Attributes:
        request: its id.
        time_us: microseconds since 1970.
        shopper: their key in the log; "" a guest.
        session: "" for none.
        label: of the model that was asked first; "" the newest, or none.
        version: of the model that answered; None where none did.
        arms: experiment to arm.
        degraded: what stood in for the model or the state, and why; "" if nothing did.
        source: named source of the candidates; "" where the request named them.
        model_ms: until the model asked first answered or failed.
        items: [L] candidates as given.
        scores: [L] of the model; None where none answered.
        order: indices of the candidates in the order answered.
        shown: places that count as seen.
        first_position: place of the first of the order, from 0.
        effects: of rules.
        features: tensors as sent, by input; None where they weren't logged.
    """

    request: str
    time_us: int
    shopper: str
    session: str
    label: str
    version: int | None
    arms: Mapping[str, str]
    degraded: str
    source: str
    model_ms: float | None
    items: Sequence[str]
    scores: Sequence[float] | None
    order: Sequence[int]
    shown: int
    first_position: int
    effects: Sequence[RuleEffect]
    features: Mapping[str, Any] | None

    @property
    def time(self) -> datetime:
        """The time of the request, UTC."""
        return moment(self.time_us)

    def rules_of(self, item: str) -> list[str]:
        """Say what rules did to an item; none where it kept its place."""
        said = []
        for effect in self.effects:
            for moved, before, after in effect.moved:
                if moved == item and before != after:
                    end = "not shown" if after is None else f"to place {self.first_position + after + 1}"
                    said.append(f"{effect.rule} ({effect.kind}): from place {self.first_position + before + 1} {end}")
        return said

    @property
    def order_fault(self) -> str:
        """Say how the order contradicts scores and rules; "" where it follows from them, or there are no scores.

        Candidates that no rule touched keep the order of their scores among themselves.
        """
        if self.scores is None:
            return ""
        touched = {item for effect in self.effects for item, _, _ in effect.moved}
        free = [index for index in by_score(self.scores).tolist() if self.items[index] not in touched]
        answered = [index for index in self.order if self.items[index] not in touched]
        if answered == free:
            return ""
        at = next((i for i, pair in enumerate(zip(answered, free, strict=False)) if pair[0] != pair[1]), min(len(answered), len(free)))
        return f"the order isn't that of the scores, from the {at + 1}. on of those that no rule touched"


def read_decision(row: Mapping[str, Any]) -> Decision:
    """Return the decision of a line."""
    scores, version = row["scores"], row["version"]
    return Decision(
        request=row["request"],
        time_us=row["time"],
        shopper=row["user"] or "",
        session=row["session"] or "",
        label=row["label"],
        version=int(version) if version else None,
        arms=row["arms"],
        degraded=row["degraded"],
        source=row["source"],
        model_ms=row["model_ms"],
        items=row["items"],
        scores=None if scores is None else [float(np.nan) if score is None else score for score in scores],
        order=row["order"],
        shown=row["shown"],
        first_position=row.get("first_position", 0),
        effects=[RuleEffect(rule["rule"], rule["kind"], [tuple(moved) for moved in rule["moved"]]) for rule in row["rules"]],
        features=row["features"],
    )
