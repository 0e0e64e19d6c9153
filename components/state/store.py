"""Keep feature state in memory for the service: apply single events, read the features of a request's keys."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from components.state.artifact import Snapshot
from components.state.plan import StatePlan, action_index
from components.state.read_batch import read_rows
from components.state.reducer import Features, Rules, State, advance, blank, empty, happened_us, resized, rows_of, rules


@dataclass(frozen=True)
class Event:
    """An event of a key (a user, or an item)."""

    key: str
    time_us: int
    action: str
    item: int = 0  # what the history keeps of the event; int64
    weight: int = 1
    session: int = 0  # hash of the session's id, 0 = unknown; int64
    skew_us: int = 0  # stamped earlier than the key's clock by no more than this, it happened at the clock


def apply_events(plan: StatePlan, state: State, rows: Sequence[int], events: Sequence[Event], using: Rules) -> None:
    """Apply events to the state in their order, event i to the key in row `rows[i]`.

    Raises:
        InputError: an action that the plan doesn't count; the state is then untouched.
    """
    actions = [action_index(plan, event.action) for event in events]
    for row, event, action in zip(rows, events, actions, strict=True):
        time_us = happened_us(int(state.last_us[row]), event.time_us, event.skew_us)
        advance(state, row, time_us, action, event.item, event.weight, event.session, using)


@final
class StateStore:
    """State of a growing set of keys; thread-safe.

    A request's features must not include its own events: read its features first and record its events after.

    Args:
        plan: what is kept.
        snapshot: the initial state, as `load` returns it; default: empty.
    """

    def __init__(self, plan: StatePlan, snapshot: Snapshot | None = None) -> None:
        self.plan = plan
        self._rules = rules(plan)
        self._rows: dict[str, int] = {}
        self._free: list[int] = []  # rows of forgotten keys, for reuse
        self._used = 0  # rows that belong, or once belonged, to a key
        self._state = empty(plan, 1024)
        self._lock = threading.Lock()
        if snapshot is not None:
            snapshot.require(plan)
            self._rows = {key: row for row, key in enumerate(snapshot.keys)}
            self._used = len(snapshot.keys)
            self._state = resized(plan, snapshot.state, keys=len(snapshot.keys) + 1024)

    def __len__(self) -> int:
        """Count the keys with an event."""
        return len(self._rows)

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    def keys(self) -> list[str]:
        """Return the keys with an event."""
        with self._lock:
            return list(self._rows)

    def record(self, *events: Event) -> None:
        """Apply events in their order; raises InputError, and applies none, if the plan lacks an action."""
        for event in events:
            action_index(self.plan, event.action)
        with self._lock:
            rows = [self._row(event.key) for event in events]
            # One row stays empty: `features` reads it for an unknown key.
            if self._used >= len(self._state.last_us):
                self._state = resized(self.plan, self._state, keys=2 * (self._used + 1))
            apply_events(self.plan, self._state, rows, events, self._rules)

    def features(self, key: str, time_us: int, *, session: int = 0) -> Features:
        """Read the features of a key at a moment, Q = 1; an unknown key reads like one without events."""
        return self.features_of([key], time_us, session=session)

    def features_of(self, keys: Sequence[str], time_us: int, *, session: int = 0) -> Features:
        """Read the features of many keys at one moment, such as a request's candidates; row q is of `keys[q]`."""
        features = blank(self.plan, len(keys))
        with self._lock:
            unknown = self._used
            rows = np.fromiter((self._rows.get(key, unknown) for key in keys), np.int64, len(keys))
            read_rows(self._state, rows, time_us, session, self._rules, features)
        return features

    def forget(self, key: str) -> None:
        """Delete the state of a key."""
        with self._lock:
            row = self._rows.pop(key, None)
            if row is not None:
                nothing = empty(self.plan, 1)
                for name in State._fields:
                    getattr(self._state, name)[row] = getattr(nothing, name)[0]
                self._free.append(row)

    def snapshot(self) -> Snapshot:
        """Copy the state of all keys, to be saved."""
        with self._lock:  # held as briefly as possible: requests wait for it
            keys, copy = list(self._rows), State(*(getattr(self._state, name)[: self._used].copy() for name in State._fields))
            rows: NDArray[np.int64] = np.fromiter(self._rows.values(), np.int64, len(keys))
        whole = len(rows) == len(copy.last_us) and (rows == np.arange(len(rows))).all()
        return Snapshot(self.plan, keys, copy if whole else rows_of(copy, rows))

    def _row(self, key: str) -> int:
        row = self._rows.get(key)
        if row is None:
            if self._free:
                row = self._free.pop()
            else:
                row = self._used
                self._used += 1
            self._rows[key] = row
        return row
