"""What the guard takes from lines of the log."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np

from components.contract.base_model import closest
from components.contract.dataset import Dataset
from components.contract.errors import InputError
from serving.exposure.serialization import EventRows
from serving.guard.attribution import Click
from serving.guard.counts import Tally, score_counts

Side = Literal["canary", "stable"]


@dataclass(frozen=True)
class Trial:
    """A canary on trial: the versions that are compared, and since when the labels have stood so, microseconds since the epoch."""

    canary: int
    stable: int
    since_us: int

    def version(self, side: Side) -> int:
        """That of a side."""
        return self.canary if side == "canary" else self.stable


@dataclass(frozen=True)
class Request:
    """A request of the trial, with what its answer adds to its side's counts."""

    request: str
    shopper: str
    session: str
    time_us: int
    side: Side
    counts: Tally


def request_of(line: bytes, trial: Trial, *, slow_ms: float) -> Request | None:
    """What a line of `decisions` says, None where it is none of the trial's.

    Shoppers without an id are in no experiment, so that all of their requests are stable's: they aren't compared. A request has failed
    where something stood in for the version that was asked; by which version it would have been answered the line doesn't know then, but
    its label and its time do.

    Raises:
        ValueError: the line isn't one of `decisions`.
    """
    told = _object(line)
    try:
        side, shopper, time_us = told["label"], told["user"], int(told["time"])
        if side not in ("canary", "stable") or not shopper or time_us < trial.since_us:
            return None
        failed = told["degraded"].partition(";")[0] not in ("", "state")
        if not failed and told["version"] != str(trial.version(side)):
            return None
        slow = (told.get("model_ms") or 0.0) > slow_ms
        scores = None if failed else score_counts(np.array(told["scores"], np.float64))
        counts = Tally.from_counts(requests=1, errors=int(failed), slow=int(slow), scores=scores)
        return Request(told["request"], shopper, told["session"] or "", time_us, side, counts)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no line of `decisions`: {error!r}") from None


@final
class Clicks:
    """Reads clicks out of lines of `interactions`.

    Args:
        dataset: whose log it is.
        actions: that count as a click, by their names there; none: those that the model learns from.

    Raises:
        InputError: there is no such action, or none at all.
    """

    def __init__(self, dataset: Dataset, actions: Collection[str]) -> None:
        rows = EventRows(dataset)
        names = list(actions) or list(dataset.label_gains)
        unknown = next((name for name in names if name not in rows.actions), None)
        if unknown is not None:
            raise InputError(f"the dataset file has no action {unknown!r}; {closest(unknown, list(rows.actions))}")
        if not names:
            raise InputError("the dataset file has no action that the model learns from; name those that count as a click")
        self._written = {rows.actions[name] for name in names}
        roles = ("action", "request", "user", "session", "time")
        self._action, self._request, self._user, self._session, self._time = (rows.columns[role] for role in roles)

    def parse(self, lines: Sequence[bytes]) -> tuple[list[Click], int]:
        """The clicks on lists, and how many lines couldn't be read."""
        found, unreadable = [], 0
        for line in lines:
            try:
                told = _object(line)
                if told[self._action] in self._written and told[self._request]:
                    who = (told[self._user] or "", told[self._session] or "")
                    found.append(Click(str(told[self._request]), *who, int(told[self._time])))
            except (ValueError, KeyError, TypeError):
                unreadable += 1
        return found, unreadable


def _object(line: bytes) -> dict[str, Any]:
    told = json.loads(line)
    if not isinstance(told, dict):
        raise ValueError(f"expected an object, got {type(told).__name__}")
    return told
