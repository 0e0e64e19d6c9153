"""Read and write state in a folder: the pipeline's artifact, and a service's own snapshot in the same layout.

`users/*.parquet` and `items/*.parquet` are as `components.state.artifact` writes them; `index.parquet` has the item ids
by the codes in the histories of `users/`. A snapshot also has the marks of its changes (`marks.parquet`), its
tombstones (`forgotten.parquet`), and the offsets of the log's files that are in it (`log.parquet`).
"""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from components.contract.errors import InputError
from components.contract.storage.atomic_files import sync
from components.state import artifact
from components.state.artifact import Snapshot
from components.state.plan import StatePlan
from serving.state.interface import Plans
from serving.state.item_codes import NO_ITEM, ItemCodes

INDEX = "index.parquet"
MARKS, FORGOTTEN, LOG = "marks", "forgotten", "log"


@dataclass(frozen=True)
class Saved:
    """State of both sides, and the item ids by code; a side is None where it has no state, or no shopper has an id.

    A snapshot also has `marks`, each with the time of its last change; `forgotten`, digests with the end of the erased
    time; and `log`, for each log file the bytes that are in the state, and its inode, as a file that is rewritten has
    its lines at other offsets.
    """

    users: Snapshot | None
    items: Snapshot | None
    names: list[str]
    marks: Mapping[bytes, int] = field(default_factory=dict)
    forgotten: Mapping[bytes, int] = field(default_factory=dict)
    log: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def load(folder: Path, plans: Plans, codes: ItemCodes) -> Saved:
    """Read a folder; the items in histories are recoded by `codes`, which grows by the ids it lacks.

    Raises:
        InputError: the folder holds no state, is incomplete, or was made with another dataset file.
    """
    if not folder.exists() and _replaced(folder).exists():
        folder = _replaced(folder)  # `save` was stopped between its last two steps
    numbers = _numbers(folder, codes)
    users = _recoded(artifact.load(folder / "users", plans.users), numbers) if (folder / "users").is_dir() else None
    items = None if plans.items is None else artifact.load(folder / "items", plans.items)
    marks, forgotten = (_table(folder / f"{name}.parquet") for name in (MARKS, FORGOTTEN))
    log = {name: (size, inode) for name, size, inode in _table(folder / f"{LOG}.parquet")}
    return Saved(users, items, codes.names(), dict(marks), dict(forgotten), log)


def data_end_us(folder: Path) -> int | None:
    """Return the time of the newest event in a folder's state; None where there is no event, or no state."""
    if not folder.exists() and _replaced(folder).exists():
        folder = _replaced(folder)
    newest = [end for path in sorted(folder.glob("*/*.parquet")) if path.parent.name in ("users", "items") for end in _last_times(path)]
    return max(newest, default=None)


def exists(folder: Path) -> bool:
    """Return whether the folder holds a state."""
    return folder.exists() or _replaced(folder).exists()


def parts(folder: Path, side: str, plan: StatePlan, codes: ItemCodes) -> Iterator[Snapshot]:
    """Read file by file, for states that don't fit into memory; `side` is users or items."""
    numbers = _numbers(folder, codes)
    for path in sorted((folder / side).glob("*.parquet")):
        part = artifact.load(path, plan)
        yield _recoded(part, numbers) if side == "users" else part


def keys_in(folder: Path, side: str) -> int:
    """Count the keys of a side."""
    return sum(pq.ParquetFile(path).metadata.num_rows for path in sorted((folder / side).glob("*.parquet")))


def save(saved: Saved, folder: Path) -> None:
    """Replace the snapshot in a folder atomically."""
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for side, snapshot in (("users", saved.users), ("items", saved.items)):
        if snapshot is not None:
            (unfinished / side).mkdir()
            artifact.save(snapshot.state, snapshot.keys, snapshot.plan, unfinished / side / "part-00000.parquet")
    pq.write_table(pa.table({"item": pa.array(saved.names, pa.string())}), unfinished / INDEX, compression="zstd")
    for name, rows, kind_of in ((MARKS, saved.marks, "mark"), (FORGOTTEN, saved.forgotten, "digest")):
        table = pa.table({kind_of: pa.array(list(rows), pa.binary()), "time_us": pa.array(list(rows.values()), pa.int64())})
        pq.write_table(table, unfinished / f"{name}.parquet", compression="zstd")
    read = [(file, *at) for file, at in saved.log.items()]
    kinds = {"file": pa.string(), "size": pa.int64(), "inode": pa.uint64()}
    columns = {column: pa.array([row[index] for row in read], kind) for index, (column, kind) in enumerate(kinds.items())}
    pq.write_table(pa.table(columns), unfinished / f"{LOG}.parquet", compression="zstd")
    for path in (*unfinished.rglob("*"), unfinished):
        sync(path)
    old = _replaced(folder)
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        folder.replace(old)
    unfinished.replace(folder)
    shutil.rmtree(old, ignore_errors=True)


def _table(path: Path) -> list[tuple[Any, ...]]:
    if not path.exists():
        return []
    return list(zip(*pq.ParquetFile(path).read().to_pydict().values(), strict=True))


def _last_times(path: Path) -> Iterator[int]:
    """Return the newest time of each row group, from the file's statistics."""
    meta = pq.ParquetFile(path).metadata
    column = next(index for index in range(meta.num_columns) if meta.schema.column(index).name == "last_us")
    for group in range(meta.num_row_groups):
        statistics = meta.row_group(group).column(column).statistics
        if meta.row_group(group).num_rows:
            yield int(statistics.max)


def _replaced(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.replaced")


def _numbers(folder: Path, codes: ItemCodes) -> NDArray[np.int64]:
    """Return the process's code for each code of the folder, and NO_ITEM last, at index -1."""
    try:
        ids = pq.ParquetFile(folder / INDEX).read()["item"].to_pylist()
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"expected a feature state in {folder}, but {INDEX} can't be read ({error}); run the ingestion") from error
    return np.array([*(codes.code(name) for name in ids), NO_ITEM], np.int64)


def _recoded(snapshot: Snapshot, numbers: NDArray[np.int64]) -> Snapshot:
    state = snapshot.state
    filled = np.arange(state.history_item.shape[1]) < state.written[:, None]  # the rings of `load` begin at slot 0
    state.history_item[filled] = numbers[state.history_item[filled]]
    return snapshot
