"""Save and load the feature state as Parquet: one row a key, one column a value, the plan in the file's metadata."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from components.contract.errors import InputError
from components.state.plan import StatePlan, raw_names
from components.state.reducer import NEVER, State, empty

PLAN_KEY = b"shelfrank.state_plan"
SESSION = ("session", "session_start_us", "session_events")
HISTORY = ("history_item", "history_action", "history_us")


@dataclass(frozen=True)
class Snapshot:
    """Feature state with its keys: row i of `state` is that of `keys[i]`."""

    plan: StatePlan
    keys: Sequence[str]
    state: State

    def require(self, plan: StatePlan) -> None:
        """Raise InputError unless the snapshot was made with `plan`."""
        _require_same(plan, self.plan, origin="the feature state")


def save(state: State, keys: Sequence[str], plan: StatePlan, path: Path) -> None:
    """Write a part of the feature state atomically; equal states give equal bytes, whatever the order of their keys."""
    unfinished = path.with_name(path.name + ".unfinished")
    pq.write_table(to_table(state, keys, plan), unfinished, compression="zstd", row_group_size=1 << 17)
    unfinished.replace(path)


def load(path: Path, plan: StatePlan | None = None) -> Snapshot:
    """Read a file, or all `*.parquet` of a folder as parts of one state.

    Raises:
        InputError: no file, a file that isn't a feature state or isn't whole, a part not made with `plan` (default:
            that of the first), or a key in two parts.
    """
    parts = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    tables = [_read(part) for part in parts]
    if not tables:
        raise InputError(f"expected the feature state in {path}, found no *.parquet there; run the ingestion that writes it")
    plan = plan or _plan_of(tables[0], parts[0])
    for part, table in zip(parts, tables, strict=True):
        _require_same(plan, _plan_of(table, part), origin=str(part))
    return from_table(pa.concat_tables(tables), plan)


def to_table(state: State, keys: Sequence[str], plan: StatePlan) -> pa.Table:
    """Convert a state to the table that `save` writes, sorted by key.

    A key without an event is left out: it reads like an unknown one.
    """
    names = pa.array(keys, pa.string())
    if len(names) != len(state.last_us):
        raise InputError(f"expected a key for each of the state's {len(state.last_us)} rows, got {len(names)}")
    order = pc.sort_indices(names).to_numpy()
    order = order[state.last_us[order] != NEVER]
    columns: dict[str, Any] = {"key": names.take(pa.array(order)), "last_us": state.last_us[order]}
    columns |= {name: state.counts[order, a, h] for name, a, h in _counts(plan)}
    for a, action in enumerate(plan.actions):
        seen = state.seen_us[order, a]
        columns[f"seen_{action}_us"] = pa.array(seen, mask=seen == NEVER)
        columns[f"total_{action}"] = state.totals[order, a]
    columns |= {name: getattr(state, name)[order] for name in SESSION}
    if plan.history_length:
        columns |= _lists(state, order, plan.history_length)
    return pa.table(columns).replace_schema_metadata({PLAN_KEY: json.dumps(asdict(plan))})


def from_table(table: pa.Table, plan: StatePlan) -> Snapshot:
    """Convert a table back to a state; raises InputError when a key occurs twice."""
    keys: list[str] = table["key"].to_pylist()
    if len(set(keys)) < len(keys):
        counted = table["key"].value_counts()
        repeated = next(entry["values"] for entry in counted.to_pylist() if entry["counts"] > 1)
        raise InputError(f"a key stands once in a feature state, but {repeated!r} stands twice; keep the files of one ingestion only")
    state = empty(plan, len(keys))
    state.last_us[:] = table["last_us"].to_numpy()
    for name, a, h in _counts(plan):
        state.counts[:, a, h] = table[name].to_numpy()
    for a, action in enumerate(plan.actions):
        state.seen_us[:, a] = table[f"seen_{action}_us"].fill_null(NEVER).to_numpy()
        state.totals[:, a] = table[f"total_{action}"].to_numpy()
    for name in SESSION:
        getattr(state, name)[:] = table[name].to_numpy()
    if plan.history_length:
        lengths = pc.list_value_length(table[HISTORY[0]]).to_numpy()
        state.written[:] = lengths
        filled = np.arange(plan.history_length) < lengths[:, None]  # (keys, history)
        for name in HISTORY:
            getattr(state, name)[filled] = pc.list_flatten(table[name]).to_numpy()
    return Snapshot(plan, keys, state)


def _counts(plan: StatePlan) -> list[tuple[str, int, int]]:
    """Return the column name of each decayed count, with the indices of its action and its half-life."""
    pairs = product(range(len(plan.actions)), range(len(plan.half_lives_s)))
    return [(name, a, h) for name, (a, h) in zip(raw_names(plan), pairs, strict=False)]


def _lists(state: State, order: NDArray[Any], length: int) -> dict[str, pa.ListArray]:
    """Convert the ring buffers to lists, oldest first; `from_table` writes them back from slot 0 on."""
    written = state.written[order]
    lengths = np.minimum(written, length)
    index = np.arange(length)
    slots = ((written - lengths)[:, None] + index) % length  # (keys, history)
    filled = index < lengths[:, None]
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    rings = {name: np.take_along_axis(getattr(state, name)[order], slots, axis=1) for name in HISTORY}
    return {name: pa.ListArray.from_arrays(offsets, pa.array(ring[filled])) for name, ring in rings.items()}


def _read(path: Path) -> pa.Table:
    try:
        return pq.ParquetFile(path).read()
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"expected a part of the feature state in {path}, but it can't be read ({error}); ingest again") from error


def _plan_of(table: pa.Table, path: Path) -> StatePlan:
    written = (table.schema.metadata or {}).get(PLAN_KEY)
    if written is None:
        raise InputError(
            f"expected a part of the feature state in {path}, found another kind of Parquet file (no {PLAN_KEY.decode()} in it)"
        )
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in json.loads(written).items()}
    return StatePlan(**values)


def _require_same(expected: StatePlan, written: StatePlan, *, origin: str) -> None:
    differing = [f.name for f in fields(StatePlan) if getattr(expected, f.name) != getattr(written, f.name)]
    if differing:
        listed = "; ".join(f"{name}: expected {getattr(expected, name)}, found {getattr(written, name)}" for name in differing)
        raise InputError(f"{origin} was made with another plan ({listed}); ingest again, or use the dataset file it was made with")
