"""Random small logs, and two oracles in plain Python: sums over the whole past, and the reducer's own steps, float by float."""

import math
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from components.state.plan import StatePlan
from components.state.reducer import LogRows

START_US = 1_700_000_000_000_000
ITEMS = st.integers(-(2**63), 2**63 - 1)
PLANS = (
    StatePlan(("impression", "click", "cart"), (1.5, 3600.0), ("click", "cart"), 3, 10_000_000),
    StatePlan(("impression", "click", "cart"), (7.0,), (), 0, 10_000_000),
    StatePlan(("impression", "click", "cart"), (), ("cart",), 1, 10_000_000),
)


class Row(NamedTuple):
    key: int
    time_us: int
    action: int
    item: int
    weight: int
    session: int
    is_event: bool
    is_query: bool
    early_us: int = 0  # how much earlier than `time_us` an event is stamped


# Whole seconds make ties and pauses of exactly the session gap, odd microseconds make digits.
MOMENTS = st.one_of(st.integers(0, 60).map(lambda s: START_US + s * 1_000_000), st.integers(START_US, START_US + 10**11))
ROWS = st.builds(
    Row,
    key=st.integers(0, 2),
    time_us=MOMENTS,
    action=st.integers(0, 2),
    item=ITEMS,
    weight=st.integers(1, 9),
    session=st.sampled_from([0, 0, 5, -(2**62)]),
    is_event=st.booleans(),
    is_query=st.booleans(),
    early_us=st.just(0),
)
EARLY = st.builds(lambda row, us: row._replace(early_us=us), ROWS, st.sampled_from([0, 0, 1, 1_000_000, 10_000_001, 60_000_000]))
KEYS = 3


def in_order(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row.key, row.time_us))


def columns(rows: list[Row]) -> LogRows:
    """Convert rows to the columns that `replay` takes."""
    column = lambda name, dtype: np.array([getattr(row, name) for row in rows], dtype)  # noqa: E731
    return LogRows(
        keys=column("key", np.int64),
        times_us=column("time_us", np.int64),
        stamps_us=column("time_us", np.int64) - column("early_us", np.int64),
        actions=column("action", np.int8),
        items=column("item", np.int64),
        weights=column("weight", np.int64),
        sessions=column("session", np.int64),
        is_event=column("is_event", np.bool_),
        is_query=column("is_query", np.bool_),
    )


class Known(NamedTuple):
    counts: list[float]  # action by action
    recencies: list[float]
    totals: list[int]
    session_events: int
    session_age_s: float
    history: list[tuple[int, int, float]]  # item, action, age in seconds

    def vector(self) -> list[float]:
        return [*self.counts, *self.recencies, *self.totals, self.session_events, self.session_age_s]


def from_whole_past(plan: StatePlan, past: list[Row], time_us: int, session: int) -> Known:
    """What is known at a moment, from the list of all earlier events of the key in order of time; nothing is carried along."""
    of = lambda action: [row for row in past if row.action == action]  # noqa: E731
    begins = 0
    for i in range(1, len(past)):
        named_other = past[i].session != 0 and past[i].session != past[begins].session
        if past[i].time_us - past[i - 1].time_us > plan.session_gap_us or named_other:
            begins = i
    running = past[begins:]
    if running and (time_us - running[-1].time_us > plan.session_gap_us or session not in (0, running[0].session)):
        running = []
    remembered = [row for row in past if plan.actions[row.action] in plan.history_actions]
    remembered = remembered[-plan.history_length :] if plan.history_length else []
    return Known(
        counts=[
            math.fsum(row.weight * 2.0 ** (-(time_us - row.time_us) / (half_life * 1e6)) for row in of(action))
            for action in range(len(plan.actions))
            for half_life in plan.half_lives_s
        ],
        recencies=[(time_us - max(row.time_us for row in of(a))) / 1e6 if of(a) else math.nan for a in range(len(plan.actions))],
        totals=[sum(row.weight for row in of(action)) for action in range(len(plan.actions))],
        session_events=len(running),
        session_age_s=(time_us - running[0].time_us) / 1e6 if running else 0.0,
        history=[(row.item, row.action, (time_us - row.time_us) / 1e6) for row in remembered],
    )


class StepByStep:
    """One key's state, by the documented steps in plain Python floats."""

    def __init__(self, plan: StatePlan) -> None:
        self.plan = plan
        self.clock: int | None = None
        self.counts = [[0.0 for _ in plan.half_lives_s] for _ in plan.actions]
        self.seen: list[int | None] = [None for _ in plan.actions]
        self.totals = [0 for _ in plan.actions]
        self.session = self.session_start = self.session_events = 0
        self.history: list[tuple[int, int, int]] = []

    def take(self, row: Row) -> None:
        late = self.clock is not None and row.time_us < self.clock
        elapsed = 0.0 if self.clock is None else float(abs(row.time_us - self.clock))
        for h, half_life in enumerate(self.plan.half_lives_s):
            kept = math.exp2(-elapsed / (half_life * 1e6))
            if not late:
                for counts in self.counts:
                    counts[h] = counts[h] * kept
            for _ in range(row.weight):
                self.counts[row.action][h] += kept if late else 1.0
        named_other = row.session not in (0, self.session)
        if late:
            self.session_events += row.time_us >= self.session_start and not named_other
        elif self.clock is None or elapsed > self.plan.session_gap_us or named_other:
            self.session, self.session_start, self.session_events = row.session, row.time_us, 1
        else:
            self.session_events += 1
        self.clock = row.time_us if self.clock is None else max(self.clock, row.time_us)
        seen = self.seen[row.action]
        self.seen[row.action] = row.time_us if seen is None else max(seen, row.time_us)
        self.totals[row.action] += row.weight
        if self.plan.actions[row.action] in self.plan.history_actions:
            self.history = [*self.history, (row.item, row.action, row.time_us)][-self.plan.history_length :]

    def at(self, time_us: int, session: int) -> Known:
        now = time_us if self.clock is None else max(self.clock, time_us)
        elapsed = 0.0 if self.clock is None else float(now - self.clock)
        runs = self.clock is not None and elapsed <= self.plan.session_gap_us and session in (0, self.session)
        kept = [math.exp2(-elapsed / (half_life * 1e6)) for half_life in self.plan.half_lives_s]
        return Known(
            counts=[count * factor for counts in self.counts for count, factor in zip(counts, kept, strict=True)],
            recencies=[math.nan if seen is None else (now - seen) / 1e6 for seen in self.seen],
            totals=self.totals,
            session_events=self.session_events if runs else 0,
            session_age_s=(now - self.session_start) / 1e6 if runs else 0.0,
            history=[(item, action, (now - seen) / 1e6) for item, action, seen in self.history],
        )
