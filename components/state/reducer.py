"""The one definition of feature state: `advance` is (state, event) -> state, `read` is (state, moment) -> features.

`replay_rows` runs the two over a sorted log; compiled (`replay.py`) it takes 50 ns a row. The online store runs
`advance` as plain Python on one event, and reads many keys at one moment by `read_batch.py`, which gives the bits of
`read`. So a service doesn't load numba, which would be half of its memory.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from components.state.plan import StatePlan

NEVER = np.iinfo(np.int64).min


class State(NamedTuple):
    """Feature state of K keys, with A actions, H half-lives and a history of N. All arrays are C-contiguous."""

    last_us: NDArray[np.int64]  # (K,) the key's clock: time of its newest event, NEVER before the first
    counts: NDArray[np.float64]  # (K, A, H) decayed to the clock
    seen_us: NDArray[np.int64]  # (K, A) newest event of the action, NEVER before the first
    totals: NDArray[np.int64]  # (K, A)
    session: NDArray[np.int64]  # (K,) hash of the session's id, 0: none
    session_start_us: NDArray[np.int64]  # (K,)
    session_events: NDArray[np.int64]  # (K,)
    history_item: NDArray[np.int64]  # (K, N) a ring buffer: the w-th event written is at w % N
    history_action: NDArray[np.int8]  # (K, N)
    history_us: NDArray[np.int64]  # (K, N)
    written: NDArray[np.int64]  # (K,) number of events ever written into the ring


class Features(NamedTuple):
    """Raw features of Q queries. A row's history ends at its `history_len`; zeros follow."""

    values: NDArray[np.float32]  # (Q, width), laid out as StatePlan says
    history_item: NDArray[np.int64]  # (Q, N) oldest first, from index 0
    history_action: NDArray[np.int8]  # (Q, N)
    history_age_s: NDArray[np.float32]  # (Q, N)
    history_len: NDArray[np.int32]  # (Q,)


class LogRows(NamedTuple):
    """R rows sorted by key and time, each a query, an event, or both."""

    keys: NDArray[np.integer[Any]]  # (R,) the row in `State`, 0 to K-1; ascending
    times_us: NDArray[np.integer[Any]]  # (R,) when the row is read or applied; ascending within a key
    stamps_us: NDArray[np.integer[Any]]  # (R,) an event's own timestamp, no later than `times_us`; see `happened_us`
    actions: NDArray[np.integer[Any]]  # (R,) index in `StatePlan.actions`; of events only
    items: NDArray[np.integer[Any]]  # (R,) what the history keeps of an event
    weights: NDArray[np.integer[Any]]  # (R,) what an event adds to counts and totals
    sessions: NDArray[np.integer[Any]]  # (R,) hash of the session's id, 0 where unknown; of events and queries
    is_event: NDArray[np.bool_]  # (R,) the row changes the state
    is_query: NDArray[np.bool_]  # (R,) the row gets features


class EventRows(NamedTuple):
    """R events in the order in which they are applied. All arrays are C-contiguous."""

    keys: NDArray[np.int64]  # (R,) the row in `State`
    times_us: NDArray[np.int64]  # (R,) an event's own timestamp
    skews_us: NDArray[np.int64]  # (R,) stamped earlier than the key's clock by no more than this, it happened at the clock
    actions: NDArray[np.int64]  # (R,) index in `StatePlan.actions`
    items: NDArray[np.int64]  # (R,) what the history keeps of it
    sessions: NDArray[np.int64]  # (R,) hash of the session's id, 0 where unknown
    events: NDArray[np.int64]  # (R,) what it adds to history and session: 1, or 0 where it goes on with an event


class Rules(NamedTuple):
    """A plan as arrays, which compiled code takes."""

    half_lives_us: NDArray[np.float64]  # (H,)
    in_history: NDArray[np.bool_]  # (A,)
    session_gap_us: int


def rules(plan: StatePlan) -> Rules:
    """Convert a plan for `advance` and `read`."""
    return Rules(
        half_lives_us=np.array(plan.half_lives_s, np.float64) * 1e6,
        in_history=np.array([action in plan.history_actions for action in plan.actions]),
        session_gap_us=plan.session_gap_us,
    )


def empty(plan: StatePlan, keys: int) -> State:
    """Make the state of `keys` keys without any event."""
    actions, half_lives, length = len(plan.actions), len(plan.half_lives_s), plan.history_length
    return State(
        last_us=np.full(keys, NEVER, np.int64),
        counts=np.zeros((keys, actions, half_lives), np.float64),
        seen_us=np.full((keys, actions), NEVER, np.int64),
        totals=np.zeros((keys, actions), np.int64),
        session=np.zeros(keys, np.int64),
        session_start_us=np.zeros(keys, np.int64),
        session_events=np.zeros(keys, np.int64),
        history_item=np.zeros((keys, length), np.int64),
        history_action=np.zeros((keys, length), np.int8),
        history_us=np.zeros((keys, length), np.int64),
        written=np.zeros(keys, np.int64),
    )


def blank(plan: StatePlan, queries: int) -> Features:
    """Allocate the features of Q queries, all zeros."""
    shape = (queries, plan.history_length)
    return Features(
        values=np.zeros((queries, plan.width), np.float32),
        history_item=np.zeros(shape, np.int64),
        history_action=np.zeros(shape, np.int8),
        history_age_s=np.zeros(shape, np.float32),
        history_len=np.zeros(queries, np.int32),
    )


def resized(plan: StatePlan, state: State, *, keys: int) -> State:
    """Copy the state of the first `keys` keys; those added are empty."""
    larger = empty(plan, keys)
    kept = min(keys, len(state.last_us))
    for name in State._fields:
        getattr(larger, name)[:kept] = getattr(state, name)[:kept]
    return larger


def rows_of(state: State, rows: NDArray[np.int64]) -> State:
    """Copy the state of the keys in these rows, in the order of `rows`."""
    return State(*(getattr(state, name)[rows] for name in State._fields))


def happened_us(last_us: int, stamped_us: int, skew_us: int) -> int:
    """Return an event's time: its timestamp, or the key's clock `last_us` if that is ahead by at most `skew_us`."""
    return last_us if stamped_us < last_us <= stamped_us + skew_us else stamped_us


def advance(state: State, k: int, time_us: int, action: int, item: int, weight: int, session: int, rules: Rules, events: int = 1) -> None:
    """Update the state of key `k` with one event.

    Counts and the total of `action` grow by `weight` (a list of L impressions is one event of weight L), history and
    session by `events`: 0 where the event goes on with one that they have already, as the rest of a list does whose
    rows come one by one. Counts grow in steps of one, so that the sum's last bit doesn't depend on how a list was cut.
    A session begins with the first event, after a pause longer than the gap, and where `session` is neither 0 nor the
    running one.

    An event older than the key's clock is late. It doesn't set the clock back: its weight is decayed as if it had come
    in time, it enters the history at its end (the history is in order of arrival), and it joins the running session if
    it lies within it and doesn't name another; it never begins one.
    """
    last = state.last_us[k]
    late = time_us < last
    elapsed = 0.0 if last == NEVER else float(abs(time_us - last))
    for h in range(rules.half_lives_us.shape[0]):
        kept = math.exp2(-elapsed / rules.half_lives_us[h])
        step = kept if late else 1.0
        if not late:
            for a in range(state.counts.shape[1]):
                state.counts[k, a, h] *= kept
        for _ in range(weight):
            state.counts[k, action, h] += step

    named_other = session != 0 and session != state.session[k]
    if late:
        if time_us >= state.session_start_us[k] and not named_other:
            state.session_events[k] += events
    elif last == NEVER or elapsed > rules.session_gap_us or named_other:
        state.session[k] = session
        state.session_start_us[k] = time_us
        state.session_events[k] = events
    else:
        state.session_events[k] += events

    state.last_us[k] = max(last, time_us)
    state.seen_us[k, action] = max(state.seen_us[k, action], time_us)
    state.totals[k, action] += weight
    length = state.history_item.shape[1]
    if length > 0 and events > 0 and rules.in_history[action]:
        slot = state.written[k] % length
        state.history_item[k, slot] = item
        state.history_action[k, slot] = action
        state.history_us[k, slot] = time_us
        state.written[k] += 1


def read(state: State, k: int, time_us: int, session: int, rules: Rules, out: Features, q: int) -> None:
    """Write the features of key `k` at a moment into row `q` of `out`, from the events so far; the state isn't changed.

    A moment before the key's clock is read as the clock's. `session` 0 means the running session, whichever it is.
    The history's row is written up to its length and not beyond.
    """
    last = state.last_us[k]
    now = max(last, time_us)
    elapsed = 0.0 if last == NEVER else float(now - last)
    n_actions, n_half_lives = state.counts.shape[1], state.counts.shape[2]
    for h in range(n_half_lives):
        kept = math.exp2(-elapsed / rules.half_lives_us[h])
        for a in range(n_actions):
            out.values[q, a * n_half_lives + h] = state.counts[k, a, h] * kept
    recency, total, running = n_actions * n_half_lives, n_actions * (n_half_lives + 1), n_actions * (n_half_lives + 2)
    for a in range(n_actions):
        seen = state.seen_us[k, a]
        out.values[q, recency + a] = math.nan if seen == NEVER else (now - seen) / 1e6
        out.values[q, total + a] = state.totals[k, a]
    if last == NEVER or elapsed > rules.session_gap_us or (session != 0 and session != state.session[k]):
        out.values[q, running] = 0.0
        out.values[q, running + 1] = 0.0
    else:
        out.values[q, running] = state.session_events[k]
        out.values[q, running + 1] = (now - state.session_start_us[k]) / 1e6

    ring = state.history_item.shape[1]
    length = min(state.written[k], ring)
    for index in range(length):
        slot = (state.written[k] - length + index) % ring
        out.history_item[q, index] = state.history_item[k, slot]
        out.history_action[q, index] = state.history_action[k, slot]
        out.history_age_s[q, index] = (now - state.history_us[k, slot]) / 1e6
    out.history_len[q] = length


def replay_rows(state: State, log: LogRows, rules: Rules, out: Features) -> None:
    """Run `read` and `advance` over rows sorted by key and time; the q-th query fills row q.

    At each moment of a key all queries are read before any event is applied: features come from strictly earlier events
    only. An event whose timestamp is earlier than the moment at which it is applied counts no earlier than those before
    it.
    """
    row, q = 0, 0
    while row < log.keys.shape[0]:
        k, moment = log.keys[row], log.times_us[row]
        end = row
        while end < log.keys.shape[0] and log.keys[end] == k and log.times_us[end] == moment:
            if log.is_query[end]:
                read(state, k, moment, log.sessions[end], rules, out, q)
                q += 1
            end += 1
        for event in range(row, end):
            if log.is_event[event]:
                at = happened_us(state.last_us[k], log.stamps_us[event], moment - log.stamps_us[event])
                advance(state, k, at, log.actions[event], log.items[event], log.weights[event], log.sessions[event], rules)
        row = end


def apply_rows(state: State, rows: EventRows, rules: Rules) -> None:
    """Run `advance` over events in their order, whatever their times."""
    for row in range(rows.keys.shape[0]):
        k = rows.keys[row]
        at = happened_us(state.last_us[k], rows.times_us[row], rows.skews_us[row])
        advance(state, k, at, rows.actions[row], rows.items[row], 1, rows.sessions[row], rules, rows.events[row])


def first_unsorted(keys: NDArray[np.integer[Any]], times_us: NDArray[np.integer[Any]]) -> int:
    """Return the first row that sorts before its predecessor, or -1."""
    for row in range(1, keys.shape[0]):
        if keys[row] < keys[row - 1] or (keys[row] == keys[row - 1] and times_us[row] < times_us[row - 1]):
            return row
    return -1
