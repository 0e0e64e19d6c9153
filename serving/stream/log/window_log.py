"""Collect the events of each partition into windows, and publish them.

A partition's windows follow each other without gap or overlap. Its position is the end of the last one, so what wasn't
published is read from the source again. A lock holds a partition: two processes can't both write its windows, and the
lock ends with its process. The lock's file says where the log of the partition goes on where no window does: its first
window may not be published when its process is killed, and windows may be moved elsewhere.
"""

import logging
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import final
from urllib.parse import quote

import polars as pl

from components.contract.errors import InputError, LogUnavailable
from components.contract.storage.file_lock import READING, try_lock
from serving.stream.log.window_files import DEAD, EVENTS, WindowFile, publish, windows

_LOG = logging.getLogger(__name__)
OFFSET = "__offset__"
_DIGITS = 20  # of a position in a lock's file
DEAD_COLUMNS = {
    "partition": pl.String,
    "offset": pl.Int64,
    "time_us": pl.Int64,
    "payload": pl.Binary,
    "reason": pl.String,
    "detail": pl.String,
}


@dataclass(frozen=True)
class WindowSettings:
    """Where windows go, and when they are published.

    Attributes:
        folder: of the events; made if missing.
        dead: of the messages that couldn't be taken; made if missing.
        every_s: a window is published when its first message is so old.
        most_rows: or when it has so many rows.
        dead_bytes: of payloads in `dead` at most; beyond it only their reasons are kept, and counted.
    """

    folder: Path
    dead: Path
    every_s: float = 60.0
    most_rows: int = 500_000
    dead_bytes: int = 1 << 30

    def __post_init__(self) -> None:
        for name in ("every_s", "most_rows", "dead_bytes"):
            if not getattr(self, name) > 0:
                raise InputError(f"expected {name} above 0 for the windows of the event log, got {getattr(self, name)}")


@dataclass
class _Window:
    """What is collected of a partition since its last window."""

    lock: int
    begin: int
    end: int
    opened_s: float | None = None
    events: list[pl.DataFrame] = field(default_factory=list)
    dead: list[pl.DataFrame] = field(default_factory=list)
    rows: int = 0


@final
class WindowLog:
    """Windows of the partitions that this process reads. For one thread.

    Raises:
        OSError: a folder can't be made.
    """

    def __init__(self, settings: WindowSettings) -> None:
        self._settings = settings
        self._open: dict[str, _Window] = {}
        self.published = 0
        self.payloads_dropped = 0
        for folder in (settings.folder, settings.dead):
            folder.mkdir(parents=True, exist_ok=True)
        (settings.folder / READING).touch()
        self._dead_bytes = sum(entry.stat().st_size for entry in os.scandir(settings.dead) if entry.name.startswith(DEAD))

    def acquire(self, partition: str, *, begin: int, patience_s: float = 60.0) -> int:
        """Take a partition, and return the position from which its messages aren't in the log.

        Args:
            partition: its name.
            begin: the position where the log has nothing of it, when it is taken for the first time.
            patience_s: how long to wait for another process that still has it.

        Raises:
            LogUnavailable: another process keeps it, or the disk is full.
        """
        lock = os.open(self._settings.folder / f".{quote(partition, safe='')}.lock", os.O_CREAT | os.O_RDWR, 0o640)
        until_s = time.monotonic() + patience_s
        while not try_lock(lock):
            if time.monotonic() > until_s:
                os.close(lock)
                raise LogUnavailable(
                    f"another process has written {partition} to {self._settings.folder} for {patience_s:g} s, though it isn't to read it"
                    " any more: is it stopped or cut off? End it, and this one goes on"
                )
            time.sleep(0.05)
        ends = [window.end for window in windows(self._settings.folder, EVENTS, partition)]
        noted = _noted(lock)
        position = max(ends if noted is None else [*ends, noted], default=begin)
        try:
            _note(lock, position)
        except OSError as error:
            os.close(lock)
            raise self._unavailable(error) from error
        # Of a window whose events weren't published the messages come again.
        for window in windows(self._settings.dead, DEAD, partition):
            if window.begin >= position:
                (self._settings.dead / window.name).unlink()
        self._open[partition] = _Window(lock, position, position)
        return position

    def position(self, partition: str) -> int:
        """Return up to where a partition's messages are on the disk."""
        return self._open[partition].begin

    def windows(self, partition: str, *, end: int) -> list[Path]:
        """Return the published windows of a partition up to a position."""
        return [self._settings.folder / window.name for window in windows(self._settings.folder, EVENTS, partition) if window.end <= end]

    def append(self, partition: str, *, end: int, events: pl.DataFrame, dead: pl.DataFrame) -> None:
        """Add what became of the messages up to `end`.

        Args:
            partition: its name.
            end: the position after them.
            events: rows with OFFSET, in order.
            dead: messages that couldn't be taken, with DEAD_COLUMNS.
        """
        window = self._open[partition]
        events, dead = events.filter(pl.col(OFFSET) >= window.end), dead.filter(pl.col("offset") >= window.end)
        window.end = max(window.end, end)
        if not (len(events) or len(dead)):
            return
        window.opened_s = time.monotonic() if window.opened_s is None else window.opened_s
        window.events.append(events)
        window.dead.append(dead)
        window.rows += len(events) + len(dead)

    def publish_due(self, *, all_of_them: bool = False) -> None:
        """Publish the windows that are old or large enough, or all that hold anything.

        Raises:
            LogUnavailable: the disk doesn't take them; they stay, and may be published later.
        """
        now_s = time.monotonic()
        for partition, window in self._open.items():
            due = window.rows >= self._settings.most_rows or now_s - (window.opened_s or now_s) >= self._settings.every_s
            if window.rows and (due or all_of_them):
                self._publish(partition, window)

    def full(self) -> bool:
        """Return whether windows hold more than twice what they should, as on a full disk: then nothing more should be read."""
        return sum(window.rows for window in self._open.values()) >= 2 * self._settings.most_rows

    def release(self, partition: str) -> None:
        """Publish a partition's window, and leave it to others.

        Raises:
            LogUnavailable: the disk doesn't take it; the messages will be read again.
        """
        window = self._open.pop(partition)
        try:
            if window.rows:
                self._publish(partition, window)
        finally:
            os.close(window.lock)

    def rewind(self, partition: str, offset: int) -> None:
        """Drop what was collected from an offset on: it comes again."""
        window = self._open[partition]
        window.events = [frame.filter(pl.col(OFFSET) < offset) for frame in window.events]
        window.dead = [frame.filter(pl.col("offset") < offset) for frame in window.dead]
        window.rows = sum(map(len, window.events)) + sum(map(len, window.dead))
        window.end = max(window.begin, min(window.end, offset))

    def _publish(self, partition: str, window: _Window) -> None:
        events, dead = stacked(window.events), self._bounded(pl.concat(window.dead))
        try:
            if len(dead):
                name = WindowFile(DEAD, partition, window.begin, window.end)
                publish(self._settings.dead, name, dead)
                self._dead_bytes += (self._settings.dead / name.name).stat().st_size
            publish(self._settings.folder, WindowFile(EVENTS, partition, window.begin, window.end), events)
        except OSError as error:
            raise self._unavailable(error) from error
        self.published += 1
        with suppress(OSError):  # the window's name says it too
            _note(window.lock, window.end)
        window.begin, window.opened_s, window.events, window.dead, window.rows = window.end, None, [], [], 0

    def _unavailable(self, error: OSError) -> LogUnavailable:
        return LogUnavailable(f"{self._settings.folder}: the event log can't be written: {error}; nothing is lost, it is tried again")

    def _bounded(self, dead: pl.DataFrame) -> pl.DataFrame:
        """Drop the payloads where their folder is full."""
        if self._dead_bytes < self._settings.dead_bytes or not len(dead):
            return dead
        self.payloads_dropped += len(dead)
        _LOG.error(
            "%s is full (%d bytes): the payloads of %d messages are dropped; make room", self._settings.dead, self._dead_bytes, len(dead)
        )
        return dead.with_columns(pl.lit(None, pl.Binary).alias("payload"))


def _noted(lock: int) -> int | None:
    """Return the position that a lock's file holds; None where its writing didn't come to its end."""
    text = os.pread(lock, _DIGITS, 0)
    return int(text) if len(text) == _DIGITS else None


def _note(lock: int, position: int) -> None:
    """Write a position over the one that a lock's file holds, and wait until it is on the disk."""
    os.pwrite(lock, f"{position:0{_DIGITS}d}".encode(), 0)
    os.fsync(lock)


def stacked(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Stack frames whose columns may be missing, or of other types: numbers become the wider type, else all become text."""
    kinds: dict[str, set[pl.DataType]] = {}
    for frame in frames:
        for name, kind in frame.schema.items():
            kinds.setdefault(name, set()).add(kind)
    mixed = [
        name for name, each in kinds.items() if not (len(each - {pl.Null()}) <= 1 or all(kind.is_integer() for kind in each - {pl.Null()}))
    ]
    return pl.concat(
        [frame.with_columns(pl.col(name).cast(pl.String) for name in mixed if name in frame.columns) for frame in frames],
        how="diagonal_relaxed",
    )
