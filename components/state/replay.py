"""The reducer over a whole log: the features of every query, and the state at the end."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.contract.errors import InputError
from components.state.plan import StatePlan
from components.state.reducer import Features, State, blank, rules
from components.state.reducer_numba import first_unsorted, replay_rows


def replay(
    plan: StatePlan,
    state: State,
    *,
    keys: NDArray[np.integer[Any]],
    times_us: NDArray[np.integer[Any]],
    actions: NDArray[np.integer[Any]],
    items: NDArray[np.integer[Any]],
    weights: NDArray[np.integer[Any]],
    sessions: NDArray[np.integer[Any]],
    is_event: NDArray[np.bool_],
    is_query: NDArray[np.bool_],
    stamps_us: NDArray[np.integer[Any]] | None = None,
) -> Features:
    """Run the reducer over R rows, each a query, an event, or both; the state is brought to the end of the log in place.

    A query sees the events of its key strictly before its moment: where key and time are equal, all queries are read first and the
    events then taken in, in the order of the rows. The interpreter lock is free meanwhile.

    Args:
        plan: what is kept.
        state: of K keys, as `empty(plan, K)` or an earlier replay left it.
        keys: (R,) the row in `state`, 0 to K-1; ascending.
        times_us: (R,) when each row is read or taken in; ascending within a key.
        actions: (R,) place in `plan.actions`; of events only.
        items: (R,) what the history remembers of an event.
        weights: (R,) how much an event adds to counts and totals.
        sessions: (R,) hash of the session's id, 0 where unknown; of events and queries.
        is_event: (R,) the row changes the state.
        is_query: (R,) the row gets features.
        stamps_us: (R,) what an event's own clock says, no later than `times_us`: it happened then, or, where its key knows a later event
            by the time it is taken in, with that. Default: `times_us`.

    Returns:
        Features of the Q rows with `is_query`, in their order.

    Raises:
        InputError: columns of unequal length or not of whole numbers, rows not sorted, a stamp later than its row, or a key or an action
            out of range. The state is then untouched.
    """
    rows = len(keys)
    key_column = _column("keys", keys, rows=rows, dtype=np.int64)
    time_column = _column("times_us", times_us, rows=rows, dtype=np.int64)
    stamp_column = time_column if stamps_us is None else _column("stamps_us", stamps_us, rows=rows, dtype=np.int64)
    events = _column("is_event", is_event, rows=rows, dtype=np.bool_)
    queries = _column("is_query", is_query, rows=rows, dtype=np.bool_)
    others = (
        _column("actions", actions, rows=rows, dtype=np.int8),
        _column("items", items, rows=rows, dtype=np.int64),
        _column("weights", weights, rows=rows, dtype=np.int64),
        _column("sessions", sessions, rows=rows, dtype=np.int64),
    )
    _require_range("keys", key_column, limit=len(state.last_us), remedy="number the keys as rows of the state")
    _require_range("actions", actions[events], limit=len(plan.actions), remedy="leave events of other actions out")
    if (ahead := np.flatnonzero(stamp_column > time_column)).size:
        stamp, time = int(stamp_column[ahead[0]]), int(time_column[ahead[0]])
        raise InputError(f"replay takes stamps no later than the moment of their row, but row {ahead[0]} has {stamp} at {time}; correct it")
    unsorted = first_unsorted(key_column, time_column)
    if unsorted >= 0:
        before, after = ((int(key_column[r]), int(time_column[r])) for r in (unsorted - 1, unsorted))
        raise InputError(
            f"replay takes rows sorted by key and time, but row {unsorted} has {after} after {before}; sort by (key, time) first"
        )
    features = blank(plan, int(queries.sum()))
    replay_rows(state, key_column, time_column, stamp_column, *others, events, queries, rules(plan), features)
    return features


def _column(name: str, values: NDArray[Any], *, rows: int, dtype: type[Any]) -> NDArray[Any]:
    if values.shape != (rows,):
        raise InputError(f"replay takes columns of one length, but keys has {rows} rows and {name} has the shape {values.shape}")
    if not np.can_cast(values.dtype, dtype, "same_kind"):
        raise InputError(f"replay takes {name} as {np.dtype(dtype).name}, got {values.dtype}; convert it first")
    return np.ascontiguousarray(values, dtype)


def _require_range(name: str, values: NDArray[Any], *, limit: int, remedy: str) -> None:
    if len(values) and (values.min() < 0 or values.max() >= limit):
        raise InputError(f"replay takes {name} from 0 to {limit - 1}, got {values.min()} to {values.max()}; {remedy}")
