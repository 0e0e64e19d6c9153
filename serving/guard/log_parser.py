"""Parse requests from lines of the exposure log, and clicks from its lines or from a stream's event log."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.contract.base_model import closest
from components.contract.dataset import Dataset
from components.contract.errors import InputError
from serving.exposure.serialization import EventRows
from serving.guard.attribution import Click
from serving.guard.counts import VersionCounts, score_histogram
from serving.guard.event_windows import read_rows

Side = Literal["canary", "stable"]


@dataclass(frozen=True)
class Trial:
    """Identify a trial: the versions compared, and since when they carry their labels, microseconds since the epoch."""

    canary: int
    stable: int
    since_us: int

    def version(self, side: Side) -> int:
        """Return the version of a side."""
        return self.canary if side == "canary" else self.stable


@dataclass(frozen=True)
class Request:
    """Hold a request of the trial, with what its answer adds to its side's counts."""

    request: str
    shopper: str
    session: str
    time_us: int
    side: Side
    counts: VersionCounts


def parse_request(line: bytes, trial: Trial, *, slow_ms: float) -> Request | None:
    """Parse a line of `decisions`; return None where it isn't the trial's.

    Shoppers without an id are in no experiment, so all of their requests are stable's: they aren't compared. A request
    failed where a fallback replaced the version asked for; the line then lacks the version.

    Raises:
        ValueError: the line isn't one of `decisions`.
    """
    row = _object(line)
    try:
        side, shopper, time_us = row["label"], row["user"], int(row["time"])
        if side not in ("canary", "stable") or not shopper or time_us < trial.since_us:
            return None
        failed = row["degraded"].partition(";")[0] not in ("", "state")
        if not failed and row["version"] != str(trial.version(side)):
            return None
        slow = (row.get("model_ms") or 0.0) > slow_ms
        scores = None if failed else score_histogram(np.array(row["scores"], np.float64))
        counts = VersionCounts.from_counts(requests=1, errors=int(failed), slow=int(slow), scores=scores)
        return Request(row["request"], shopper, row["session"] or "", time_us, side, counts)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no line of `decisions`: {error!r}") from None


@final
class Clicks:
    """Parse clicks from lines of `interactions`, or from windows of a stream's event log.

    Args:
        dataset: of the log.
        actions: that count as a click, by their names in the dataset file; empty for those that the model learns from.

    Attributes:
        time: column of an event's time.

    Raises:
        InputError: an action is unknown, or there is none.
    """

    def __init__(self, dataset: Dataset, actions: Collection[str]) -> None:
        rows = EventRows(dataset)
        names = list(actions) or list(dataset.label_gains)
        unknown = next((name for name in names if name not in rows.actions), None)
        if unknown is not None:
            raise InputError(f"the dataset file has no action {unknown!r}; {closest(unknown, list(rows.actions))}")
        if not names:
            raise InputError("the dataset file has no action that the model learns from; name those that count as a click")
        self._click_values = {rows.actions[name] for name in names}
        roles = ("action", "request", "user", "session", "time")
        self._action, self._request, self._user, self._session, self.time = (rows.columns[role] for role in roles)

    def parse(self, lines: Sequence[bytes]) -> tuple[list[Click], int]:
        """Return the clicks on lists, and how many lines couldn't be parsed."""
        clicks, unreadable = list[Click](), 0
        for line in lines:
            try:
                clicks += self._clicks(_object(line))
            except (ValueError, KeyError, TypeError):
                unreadable += 1
        return clicks, unreadable

    def read(self, window: Path) -> tuple[list[Click], int]:
        """Return the clicks on lists of a window, and how many of its actions couldn't be parsed.

        Raises:
            OSError: the file can't be read.
            RunError: it isn't a window.
        """
        table = read_rows(window, [self._action, self._request, self._user, self._session, self.time])
        is_click = pc.is_in(table[self._action].cast(pa.string()), pa.array(sorted(self._click_values), pa.string()))
        clicks, unreadable = list[Click](), 0
        for row in table.filter(is_click).to_pylist():
            try:
                clicks += self._clicks(row)
            except (ValueError, TypeError):
                unreadable += 1
        return clicks, unreadable

    def _clicks(self, row: Mapping[str, Any]) -> list[Click]:
        """Return the click that a row is; none where it isn't one on a list."""
        if row[self._action] not in self._click_values or not row[self._request]:
            return []
        return [Click(str(row[self._request]), row[self._user] or "", row[self._session] or "", int(row[self.time]))]


def _object(line: bytes) -> dict[str, Any]:
    row = json.loads(line)
    if not isinstance(row, dict):
        raise ValueError(f"expected an object, got {type(row).__name__}")
    return row
