"""State in a folder: the pipeline's artifact, and a service's own snapshot, which looks the same.

`users/*.parquet` and `items/*.parquet` as `components.state.artifact` writes them, and `index.parquet`: the item ids by the numbers that
the histories of `users/` hold. A snapshot also has the changes it remembers (`marks.parquet`), whom it has forgotten
(`forgotten.parquet`), and how much of the log's files is in it (`log.parquet`).
"""

import os
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
from components.state import artifact
from components.state.artifact import Snapshot
from components.state.plan import StatePlan
from serving.state.interface import Plans
from serving.state.item_codes import NO_ITEM, ItemCodes

INDEX = "index.parquet"
MARKS, FORGOTTEN, LOG = "marks", "forgotten", "log"


@dataclass(frozen=True)
class Saved:
    """The state of both sides, and the item ids by code; None where nothing is kept of a side, or no shopper has an id.

    Of a snapshot also: `marks`, to the time of the last change with each; `forgotten`, digests to the time up to which; and `log`, the
    log's files with the bytes of each that are in it, and its inode: who writes a file anew moves its lines.
    """

    users: Snapshot | None
    items: Snapshot | None
    names: list[str]
    marks: Mapping[bytes, int] = field(default_factory=dict)
    forgotten: Mapping[bytes, int] = field(default_factory=dict)
    log: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def load(folder: Path, plans: Plans, codes: ItemCodes) -> Saved:
    """Read all of a folder; histories hold the numbers of `codes`, which gets those it lacks.

    Raises:
        InputError: the folder holds no state, isn't whole, or was made with another dataset file.
    """
    if not folder.exists() and _replaced(folder).exists():
        folder = _replaced(folder)  # `save` was stopped between its last two steps
    numbers = _numbers(folder, codes)
    users = _coded(artifact.load(folder / "users", plans.users), numbers) if (folder / "users").is_dir() else None
    items = None if plans.items is None else artifact.load(folder / "items", plans.items)
    marks, forgotten = (_table(folder / f"{name}.parquet") for name in (MARKS, FORGOTTEN))
    log = {name: (size, inode) for name, size, inode in _table(folder / f"{LOG}.parquet")}
    return Saved(users, items, codes.names(), dict(marks), dict(forgotten), log)


def data_end_us(folder: Path) -> int | None:
    """The time of the newest event in a folder's state; None where there is no event, or no state."""
    if not folder.exists() and _replaced(folder).exists():
        folder = _replaced(folder)
    newest = [end for path in sorted(folder.glob("*/*.parquet")) if path.parent.name in ("users", "items") for end in _ends(path)]
    return max(newest, default=None)


def exists(folder: Path) -> bool:
    """Whether there is something to be loaded."""
    return folder.exists() or _replaced(folder).exists()


def parts(folder: Path, side: str, plan: StatePlan, codes: ItemCodes) -> Iterator[Snapshot]:
    """The same file by file, for stores that take more than fits into memory here; `side` is users or items."""
    numbers = _numbers(folder, codes)
    for path in sorted((folder / side).glob("*.parquet")):
        part = artifact.load(path, plan)
        yield _coded(part, numbers) if side == "users" else part


def keys_in(folder: Path, side: str) -> int:
    """How many keys of a side the folder holds; 0 where it holds nothing of it."""
    return sum(pq.ParquetFile(path).metadata.num_rows for path in sorted((folder / side).glob("*.parquet")))


def save(saved: Saved, folder: Path) -> None:
    """Write a snapshot in place of an earlier one, whole or not at all."""
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for side, snapshot in (("users", saved.users), ("items", saved.items)):
        if snapshot is not None:
            (unfinished / side).mkdir()
            artifact.save(snapshot.state, snapshot.keys, snapshot.plan, unfinished / side / "part-00000.parquet")
    pq.write_table(pa.table({"item": pa.array(saved.names, pa.string())}), unfinished / INDEX, compression="zstd")
    for name, rows, of in ((MARKS, saved.marks, "mark"), (FORGOTTEN, saved.forgotten, "digest")):
        table = pa.table({of: pa.array(list(rows), pa.binary()), "time_us": pa.array(list(rows.values()), pa.int64())})
        pq.write_table(table, unfinished / f"{name}.parquet", compression="zstd")
    read = [(file, *at) for file, at in saved.log.items()]
    kinds = {"file": pa.string(), "size": pa.int64(), "inode": pa.uint64()}
    columns = {column: pa.array([row[place] for row in read], kind) for place, (column, kind) in enumerate(kinds.items())}
    pq.write_table(pa.table(columns), unfinished / f"{LOG}.parquet", compression="zstd")
    for path in (*unfinished.rglob("*"), unfinished):
        _sync(path)
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


def _ends(path: Path) -> Iterator[int]:
    """The newest times of a part of the state, which its file's statistics tell."""
    meta = pq.ParquetFile(path).metadata
    column = next(place for place in range(meta.num_columns) if meta.schema.column(place).name == "last_us")
    for group in range(meta.num_row_groups):
        statistics = meta.row_group(group).column(column).statistics
        if meta.row_group(group).num_rows:
            yield int(statistics.max)


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _replaced(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.replaced")


def _numbers(folder: Path, codes: ItemCodes) -> NDArray[np.int64]:
    """The process's code for each number of the folder, and NO_ITEM at the end, where the place -1 finds it."""
    try:
        ids = pq.ParquetFile(folder / INDEX).read()["item"].to_pylist()
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"expected a feature state in {folder}, but {INDEX} can't be read ({error}); run the ingestion") from error
    return np.array([*(codes.code(name) for name in ids), NO_ITEM], np.int64)


def _coded(snapshot: Snapshot, numbers: NDArray[np.int64]) -> Snapshot:
    state = snapshot.state
    filled = np.arange(state.history_item.shape[1]) < state.written[:, None]  # rings as `load` gives them begin at place 0
    state.history_item[filled] = numbers[state.history_item[filled]]
    return snapshot
