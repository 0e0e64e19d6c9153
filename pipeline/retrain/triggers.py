"""What asks for retraining: a schedule, a decision on drift and its sequel, a live figure. Each asks once for the same."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from components.contract.errors import InputError
from components.drift.decision import Action, Reason, decision_from_json
from components.drift.faults.quality_faults import CHANGED_TASTE
from pipeline.retrain.cycle import HAND, Outcome
from pipeline.retrain.ledger import History
from pipeline.retrain.schedule import Every, Schedule
from pipeline.retrain.threshold import Threshold, read_samples


@dataclass(frozen=True)
class Call:
    """A trigger that asks for a cycle.

    Attributes:
        kind: of the trigger.
        key: what the ledger remembers, so that it doesn't ask for the same again.
        reasons: with the actions that they ask for.
    """

    kind: str
    key: str
    reasons: tuple[Reason, ...]


class Trigger(Protocol):
    """A source of calls."""

    def call(self, history: History, now: datetime) -> Call | None:
        """Return what it asks for now; None for nothing new.

        Raises:
            ShelfRankError: it can't be read; it is asked again later.
        """


@dataclass(frozen=True)
class ScheduleTrigger:
    """Asks at each time of a schedule, and once for all the times that were missed.

    `Every` counts on from a training that something else asked for: one the night after it would learn a day's requests.
    """

    schedule: Schedule
    action: Action

    def call(self, history: History, now: datetime) -> Call | None:
        """See `Trigger`."""
        times = list(map(datetime.fromisoformat, history.keys("schedule")))
        if isinstance(self.schedule, Every):
            times += [cycle.began for cycle in history.cycles if cycle.trained is not None and "schedule" not in cycle.triggers]
        last = max(times, default=None)
        due = self.schedule.due(history.started or now, last, now)
        if due is None:
            return None
        text = f"The schedule's time {due.isoformat(timespec='seconds')} has come."
        return Call("schedule", due.isoformat(), (Reason(action=self.action, kind="schedule", subject="time", text=text),))


@dataclass(frozen=True)
class DriftTrigger:
    """Asks what the newest decision on drift asks for, in the report that `shelfrank drift --json` writes.

    A report from before the last promotion is about the release before, so it asks for no training; a freeze counts all
    the same.
    """

    file: Path

    def call(self, history: History, now: datetime) -> Call | None:
        """See `Trigger`."""
        del now
        if not self.file.exists():
            return None
        text = self.file.read_bytes()
        key = hashlib.sha256(text).hexdigest()[:16]
        if key in history.keys("drift"):
            return None
        try:
            report = json.loads(text)
            decision, made_at = decision_from_json(report["decision"]), datetime.fromisoformat(report["made_at"])
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{self.file}: expected a report of `shelfrank drift --json`, got another document ({error!r})") from None
        promoted = max((cycle.ended for cycle in history.cycles if cycle.ended and cycle.outcome == Outcome.PROMOTED), default=made_at)
        if made_at < promoted and decision.action != Action.FREEZE:
            return None
        nothing = Reason(action=decision.action, kind="drift", subject="window", text="No drift was found.")
        return Call("drift", key, decision.reasons or (nothing,))


@dataclass(frozen=True)
class FollowUpTrigger:
    """Asks once more after a training for a changed taste, when the days that chose its epoch and judged it can be learnt.

    Those are the newest, and when the change is detected it is in them alone: that training has seen nothing of it.
    """

    def call(self, history: History, now: datetime) -> Call | None:
        """See `Trigger`."""
        for cycle in reversed(history.cycles):
            asked = [reason for reason in cycle.decision.reasons if reason.kind == CHANGED_TASTE]
            if not asked or cycle.trained is None or not {"eval", "until"} <= cycle.window.keys():
                continue
            eval_start, end = (datetime.fromisoformat(cycle.window[name]) for name in ("eval", "until"))
            if str(cycle.number) in history.keys("follow-up") or now - cycle.began < end - eval_start:
                return None
            text = f"Cycle {cycle.number} was for a changed taste, and what it couldn't learn from yet can be learnt now."
            reason = Reason(action=cycle.decision.action, kind="follow-up", subject=f"cycle {cycle.number}", text=text)
            return Call("follow-up", str(cycle.number), (reason,))
        return None


@dataclass(frozen=True)
class MetricTrigger:
    """Asks when a live figure is beyond its limit, unless a cycle ended less than `rest_s` ago."""

    page: str
    threshold: Threshold
    action: Action
    rest_s: float

    def call(self, history: History, now: datetime) -> Call | None:
        """See `Trigger`."""
        last = max((cycle.ended for cycle in history.cycles if cycle.ended and cycle.decision.action != Action.NOTHING), default=None)
        if last is not None and now - last < timedelta(seconds=self.rest_s):
            return None
        value = self.threshold.crossed(read_samples(self.page))
        if value is None:
            return None
        text = f"{self.threshold.text}: it is {value:.6g}."
        return Call("metric", now.isoformat(), (Reason(action=self.action, kind="metric", subject=self.threshold.figure.name, text=text),))


@dataclass(frozen=True)
class HandTrigger:
    """Asks once, as somebody said so."""

    action: Action
    who: str

    def call(self, history: History, now: datetime) -> Call | None:
        """See `Trigger`."""
        del history
        reason = Reason(action=self.action, kind=HAND, subject=self.who, text=f"{self.who} asked for it.")
        return Call(HAND, now.isoformat(), (reason,))


def calls(triggers: Sequence[Trigger], history: History, now: datetime) -> list[Call]:
    """Return what all triggers ask for."""
    return [call for trigger in triggers if (call := trigger.call(history, now))]
