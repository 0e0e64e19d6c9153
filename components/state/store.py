"""State in memory for the service: the reducer on one event, and on the keys of one request."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from components.state.artifact import Snapshot
from components.state.plan import StatePlan, action_index
from components.state.reducer import Features, advance, blank, empty, read_rows, resized, rules


@dataclass(frozen=True)
class Event:
    """Something that happened to a key (a user, or an item)."""

    key: str
    time_us: int
    action: str
    item: int = 0  # what the history remembers of it; int64
    weight: int = 1
    session: int = 0  # hash of the session's id, 0 = unknown; int64


@final
class StateStore:
    """State of a growing set of keys; its calls may come from several threads.

    What a request is told must not include what it brings about: read its features first and record its events after.

    Args:
        plan: what is kept.
        snapshot: where to start from, as `load` gives it; default: nothing is known.
    """

    def __init__(self, plan: StatePlan, snapshot: Snapshot | None = None) -> None:
        self.plan = plan
        self._rules = rules(plan)
        self._rows: dict[str, int] = {}
        self._state = empty(plan, 1024)
        self._lock = threading.Lock()
        if snapshot is not None:
            snapshot.require(plan)
            self._rows = {key: row for row, key in enumerate(snapshot.keys)}
            self._state = resized(plan, snapshot.state, keys=len(snapshot.keys) + 1024)

    def __len__(self) -> int:
        """Number of keys with an event."""
        return len(self._rows)

    def record(self, event: Event) -> None:
        """Take an event in; raises InputError for an action that the plan doesn't count."""
        action = action_index(self.plan, event.action)
        with self._lock:
            row = self._rows.setdefault(event.key, len(self._rows))
            # One row stays free: it is what `features` reads for a key that it doesn't know.
            if row + 1 >= len(self._state.last_us):
                self._state = resized(self.plan, self._state, keys=2 * len(self._state.last_us))
            advance(self._state, row, event.time_us, action, event.item, event.weight, event.session, self._rules)

    def features(self, key: str, time_us: int, *, session: int = 0) -> Features:
        """What is known of a key at a moment, with Q = 1; of an unknown key, nothing."""
        return self.features_of([key], time_us, session=session)

    def features_of(self, keys: Sequence[str], time_us: int, *, session: int = 0) -> Features:
        """What is known of many keys at one moment, such as a request's candidates; row q is of `keys[q]`."""
        features = blank(self.plan, len(keys))
        with self._lock:
            unknown = len(self._rows)
            rows = np.fromiter((self._rows.get(key, unknown) for key in keys), np.int64, len(keys))
            read_rows(self._state, rows, time_us, session, self._rules, features)
        return features

    def snapshot(self) -> Snapshot:
        """A copy of all that is known, to be saved."""
        with self._lock:
            return Snapshot(self.plan, list(self._rows), resized(self.plan, self._state, keys=len(self._rows)))
