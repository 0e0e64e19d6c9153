"""Read messages that were set aside again, once what refused them is mended."""

from collections.abc import Mapping
from pathlib import Path
from typing import final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from components.contract.errors import InputError
from serving.stream.interface import Assignment, Messages

PATTERN = "dead-*.parquet"
COLUMNS = ("time_us", "payload", "reason")


@final
class DeadLettersSource:
    """The files of a folder of dead letters, each a partition that its name names; a message's offset is its row.

    Rows of another reason, and those whose payload wasn't kept, are passed over.

    Args:
        folder: of files `dead-*.parquet`.
        assignment: is asked for positions.
        reason: of the messages to read; None for all.

    Raises:
        InputError: there is no such file, or none with that reason.
    """

    def __init__(self, folder: Path, assignment: Assignment, *, reason: str | None = None) -> None:
        self._assignment, self._reason = assignment, reason
        self._paths = {path.name: path for path in sorted(folder.glob(PATTERN))}
        self._positions: dict[str, int] | None = None
        self._open: tuple[str, Messages] | None = None
        if not self._paths:
            raise InputError(f"{folder}: expected dead letters ({PATTERN}), found none; check the folder")
        if reason is not None:
            reasons = {each for path in self._paths.values() for each in _table(path)["reason"].unique().to_pylist()}
            if reason not in reasons:
                known = ", ".join(sorted(map(repr, reasons)))
                raise InputError(f"{folder}: expected dead letters with the reason {reason!r}, found none; there are {known}")

    def poll(self, *, most: int, timeout_s: float) -> list[Messages]:
        """Return the next messages of one file."""
        if self._positions is None:
            assigned = self._assignment.assigned(list(self._paths))
            self._positions = {name: assigned.get(name) or 0 for name in self._paths}
            self._unread = list(self._paths)
        while self._unread:
            name = self._unread[0]
            messages = self._messages(name)
            begin = self._positions[name]
            chosen = np.flatnonzero(messages.offsets >= begin)[:most]
            remain = bool(len(chosen)) and chosen[-1] + 1 < len(messages.offsets)
            next_offset = int(messages.offsets[chosen[-1]]) + 1 if remain else messages.next_offset
            self._positions[name] = next_offset
            if not remain:
                self._unread.pop(0)
            if len(chosen):
                values = [messages.values[at] for at in chosen.tolist()]
                return [Messages(name, messages.offsets[chosen], next_offset, messages.times_us[chosen], values)]
        return []

    def seek(self, partition: str, offset: int) -> None:
        """Read a file from this row on."""
        assert self._positions is not None
        self._positions[partition] = offset
        if partition not in self._unread:
            self._unread.append(partition)

    def lag(self) -> Mapping[str, int]:
        """Return how many rows wait in each file."""
        positions = self._positions or {}
        rows = {name: pq.read_metadata(path).num_rows for name, path in self._paths.items()}
        return {name: max(number - positions.get(name, 0), 0) for name, number in rows.items()}

    def committed(self, positions: Mapping[str, int]) -> None:
        """Do nothing: no tool shows the lag of this source."""

    def finished(self) -> bool:
        """Return whether all files are read."""
        return self._positions is not None and not self._unread

    def close(self) -> None:
        """Hold nothing open."""
        self._open = None

    def _messages(self, name: str) -> Messages:
        if self._open is None or self._open[0] != name:
            table = _table(self._paths[name])
            offsets, times_us = _numbers(table, self._reason)
            payloads = table["payload"].take(pa.array(offsets)).to_pylist()
            self._open = name, Messages(name, offsets, len(table), times_us, payloads)
        return self._open[1]


def _table(path: Path) -> pa.Table:
    try:
        return pq.read_table(path, columns=list(COLUMNS))
    except (pa.ArrowException, OSError, KeyError) as error:
        raise InputError(f"{path}: expected dead letters with the columns {', '.join(COLUMNS)}: {error}") from None


def _numbers(table: pa.Table, reason: str | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows to read, and when the source took them in."""
    chosen = np.array(table["payload"].is_valid())
    if reason is not None:
        chosen &= np.array([each == reason for each in table["reason"].to_pylist()], np.bool_)
    rows = np.flatnonzero(chosen)
    return rows, table["time_us"].to_numpy()[rows]
