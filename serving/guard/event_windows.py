"""Find what is new in a stream's event log: Parquet windows, published whole and named by the offsets that they hold.

Services with `--events-to` have their clicks there, and not in a log of their own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.contract.errors import RunError
from serving.stream.log.window_files import EVENTS, windows_by_partition
from serving.stream.watermark import Progress, least_watermark_us


@dataclass(frozen=True)
class Window:
    """Locate a published window.

    Attributes:
        series: names the windows of a partition in a folder.
        path: of the file.
        end: the offset after the last message.
    """

    series: str
    path: Path
    end: int


def new_windows(folders: Sequence[Path], ends: Mapping[str, int]) -> Iterator[Window]:
    """List the windows behind those that have been read, of each partition in order.

    Args:
        folders: of event logs.
        ends: by series the end of the last window that was read.

    Raises:
        OSError: a folder can't be read.
    """
    for series, windows in _windows(folders).items():
        yield from (window for window in windows if window.end > ends.get(series, 0))


def last_ends(folders: Sequence[Path]) -> dict[str, int]:
    """Return the end of each series: what skips the windows that are there."""
    return {series: windows[-1].end for series, windows in _windows(folders).items()}


def complete_until_us(folders: Sequence[Path], time: str) -> int:
    """Return up to when the windows hold all events, by the partition that is furthest behind; 0 without any window.

    Args:
        folders: of event logs.
        time: column of an event's time, microseconds since 1970.

    Raises:
        OSError: a folder or a file can't be read.
    """
    partitions = []
    for windows in _windows(folders).values():
        # A window in which nothing counted has no times.
        times = (_newest_us(window.path, time) for window in reversed(windows))
        newest_us = next((each for each in times if each is not None), 0)
        partitions.append(Progress(newest_us, windows[-1].path.stat().st_mtime_ns // 1000))
    return least_watermark_us(partitions) if partitions else 0


def read_rows(path: Path, columns: Sequence[str]) -> pa.Table:
    """Read columns of a window; those that it lacks are null.

    Raises:
        OSError: the file can't be read.
        RunError: it isn't a window.
    """
    try:
        with pq.ParquetFile(path) as file:
            there = [name for name in columns if name in file.schema_arrow.names]
            table = file.read(there)
    except pa.ArrowException as error:
        raise RunError(f"{path}: expected a window of `shelfrank stream`: {error}; move it away") from error
    for name in columns:
        if name not in there:
            table = table.append_column(name, pa.nulls(len(table)))
    return table


def _windows(folders: Sequence[Path]) -> dict[str, list[Window]]:
    return {
        f"{folder}/{EVENTS}-{partition}": [Window(f"{folder}/{EVENTS}-{partition}", folder / each.name, each.end) for each in windows]
        for folder in folders
        for partition, windows in windows_by_partition(folder, EVENTS).items()
    }


def _newest_us(path: Path, time: str) -> int | None:
    newest = pc.max(read_rows(path, [time])[time]).as_py()
    try:
        return None if newest is None else int(newest)
    except (TypeError, ValueError):  # of another sender, in another form
        return None
