"""Run the reducer over a whole log, compiled: the features of every query, and the state at the end."""

from types import FunctionType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from components.contract.errors import InputError
from components.state import reducer
from components.state.jit import F, compiled
from components.state.plan import StatePlan
from components.state.reducer import Features, LogRows, State, blank, rules

_compiled_scope: dict[str, Any] = dict(vars(reducer))


def _compile(function: F) -> F:
    """Compile a function of the reducer that calls only compiled ones; `reducer` itself keeps the plain Python."""
    assert isinstance(function, FunctionType)
    machine_code = compiled(cast("F", FunctionType(function.__code__, _compiled_scope, function.__name__, function.__defaults__)))
    _compiled_scope[function.__name__] = machine_code
    return machine_code


# A function comes after those that it calls.
_compile(reducer.happened_us)
advance = _compile(reducer.advance)
_compile(reducer.read)
replay_rows = _compile(reducer.replay_rows)
apply_rows = _compile(reducer.apply_rows)
_first_unsorted = _compile(reducer.first_unsorted)

_DTYPES: dict[str, type[Any]] = {
    "keys": np.int64,
    "times_us": np.int64,
    "stamps_us": np.int64,
    "is_event": np.bool_,
    "is_query": np.bool_,
    "actions": np.int8,
    "items": np.int64,
    "weights": np.int64,
    "sessions": np.int64,
}


def replay(plan: StatePlan, state: State, log: LogRows) -> Features:
    """Run the reducer over a log's rows and update the state in place; the interpreter lock is released meanwhile.

    A query sees the events of its key strictly before its moment: where key and time are equal, all queries are read
    before the events are applied, in the order of the rows.

    Args:
        plan: what is kept.
        state: of K keys, as `empty(plan, K)` or an earlier replay left it.
        log: columns of any whole-number type that fits.

    Returns:
        Features of the Q rows with `is_query`, in their order.

    Raises:
        InputError: columns of unequal length or not of whole numbers, rows not sorted, a timestamp later than its row,
            or a key or an action out of range. The state is then untouched.
    """
    rows = LogRows(**{name: _column(name, getattr(log, name), rows=len(log.keys), dtype=dtype) for name, dtype in _DTYPES.items()})
    _require_range("keys", rows.keys, limit=len(state.last_us), remedy="number the keys as rows of the state")
    _require_range("actions", log.actions[rows.is_event], limit=len(plan.actions), remedy="leave events of other actions out")
    if (ahead := np.flatnonzero(rows.stamps_us > rows.times_us)).size:
        stamp, time = int(rows.stamps_us[ahead[0]]), int(rows.times_us[ahead[0]])
        raise InputError(f"replay takes stamps no later than the moment of their row, but row {ahead[0]} has {stamp} at {time}; correct it")
    unsorted = _first_unsorted(rows.keys, rows.times_us)
    if unsorted >= 0:
        before, after = ((int(rows.keys[r]), int(rows.times_us[r])) for r in (unsorted - 1, unsorted))
        raise InputError(
            f"replay takes rows sorted by key and time, but row {unsorted} has {after} after {before}; sort by (key, time) first"
        )
    features = blank(plan, int(rows.is_query.sum()))
    replay_rows(state, rows, rules(plan), features)
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
