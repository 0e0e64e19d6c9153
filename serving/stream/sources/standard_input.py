"""Read lines of standard input."""

import os
import select
import time
from collections.abc import Mapping
from typing import final

import numpy as np

from serving.stream.interface import Assignment, Messages
from serving.stream.sources.lines import LineCutter

PARTITION = "stdin"
_CHUNK_BYTES = 1 << 20


@final
class StandardInputSource:
    """Standard input as one partition.

    A pipe can't be read again: nothing is skipped, and the offsets of a process's lines continue those of the one
    before, so that none of them counts as read already.

    Args:
        assignment: is asked for the offset of the first line.
        descriptor: of the file to read.
    """

    def __init__(self, assignment: Assignment, *, descriptor: int = 0) -> None:
        self._assignment, self._descriptor = assignment, descriptor
        self._cutter, self._number = LineCutter(0), -1
        self._waiting: list[bytes] = []
        self._ended, self._lost = False, 0

    def poll(self, *, most: int, timeout_s: float) -> list[Messages]:
        """Return the next lines."""
        deadline = time.monotonic() + timeout_s
        if self._number < 0:
            self._number = self._assignment.assigned([PARTITION]).get(PARTITION) or 0
        while len(self._waiting) < most and not self._ended:
            wait_s = 0.0 if self._waiting else max(deadline - time.monotonic(), 0)
            if not select.select([self._descriptor], [], [], wait_s)[0]:
                break
            chunk = os.read(self._descriptor, _CHUNK_BYTES)
            self._ended = not chunk
            self._waiting += self._cutter.lines(chunk, final=self._ended)[1]
        values, self._waiting = self._waiting[:most], self._waiting[most:]
        if not values:
            return []
        offsets = np.arange(self._number, self._number + len(values), dtype=np.int64)
        self._number += len(values)
        lost, self._lost = self._lost, 0
        return [Messages(PARTITION, offsets, self._number, np.zeros(len(values), np.int64), values, lost)]

    def seek(self, partition: str, offset: int) -> None:
        """Count the lines from `offset` on as lost: what was read can't be read again."""
        self._lost += max(self._number - offset, 0)

    def lag(self) -> Mapping[str, int]:
        """Return how many lines were read ahead."""
        return {PARTITION: len(self._waiting)}

    def committed(self, positions: Mapping[str, int]) -> None:
        """Do nothing: no tool shows the lag of this source."""

    def finished(self) -> bool:
        """Return whether standard input has ended and every line was returned."""
        return self._ended and not self._waiting

    def close(self) -> None:
        """Leave standard input open: it is the process's."""
