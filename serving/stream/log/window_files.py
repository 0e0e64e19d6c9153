"""Name files by the offsets that they hold, and publish them whole.

`events-<partition>-<from>-<to>.parquet` holds what counted of the messages from `from` to before `to`; `dead-...` in
another folder holds the messages of the same offsets that couldn't be taken. The events' file is published last: where
it is, the window is complete.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from components.contract.storage.atomic_files import sync

if TYPE_CHECKING:
    import polars as pl  # the guard's image has none

EVENTS, DEAD = "events", "dead"
_NAME = re.compile(rf"^({EVENTS}|{DEAD})-(.*)-(\d{{20}})-(\d{{20}})\.parquet$")


@dataclass(frozen=True, order=True)
class WindowFile:
    """What a file's name says."""

    kind: str
    partition: str
    begin: int
    end: int

    @property
    def name(self) -> str:
        """Return the file's name."""
        return f"{self.kind}-{quote(self.partition, safe='')}-{self.begin:020d}-{self.end:020d}.parquet"


def parsed(name: str) -> WindowFile | None:
    """Parse a file's name; None where it is another file's."""
    match = _NAME.match(name)
    return match and WindowFile(match[1], unquote(match[2]), int(match[3]), int(match[4]))


def windows(folder: Path, kind: str, partition: str) -> list[WindowFile]:
    """List the windows of a partition in a folder, in order."""
    prefix = f"{kind}-{quote(partition, safe='')}-"
    named = (parsed(entry.name) for entry in os.scandir(folder) if entry.name.startswith(prefix))
    return sorted(window for window in named if window is not None and window.partition == partition)


def windows_by_partition(folder: Path, kind: str) -> dict[str, list[WindowFile]]:
    """List the windows of each partition in a folder, in order."""
    by_partition: dict[str, list[WindowFile]] = {}
    for window in sorted(filter(None, map(parsed, os.listdir(folder)))):
        if window.kind == kind:
            by_partition.setdefault(window.partition, []).append(window)
    return by_partition


def ends(names: list[str]) -> dict[str, int]:
    """Return by partition the offset after the last window of events among some files' names."""
    last: dict[str, int] = {}
    for window in filter(None, map(parsed, names)):
        if window.kind == EVENTS:
            last[window.partition] = max(window.end, last.get(window.partition, 0))
    return last


def publish(folder: Path, window: WindowFile, rows: "pl.DataFrame") -> None:
    """Write a window's file; it has its name when its bytes are on the disk.

    Raises:
        OSError: the disk doesn't take it.
    """
    path, unfinished = folder / window.name, folder / f".{window.name}.unfinished"
    try:
        rows.write_parquet(unfinished, compression="zstd")
        sync(unfinished)
        unfinished.replace(path)
        sync(folder)
    finally:
        unfinished.unlink(missing_ok=True)
