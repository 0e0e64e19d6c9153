"""One kind of record of the log: a row of files, each complete when it is large or old enough."""

import os
import secrets
import time
from pathlib import Path
from typing import final

from serving.exposure.log_file import Segment


@final
class Stream:
    """Appends lines to the newest file of its kind, and begins the next when that one is full.

    Not for several threads.

    Args:
        folder: of the log.
        name: of the kind; its files are `<name>-<time>-<process>-<number>.jsonl`.
        rotate_bytes: a file that has as many is complete.
        rotate_s: as is one that is so old, in seconds.
    """

    def __init__(self, folder: Path, name: str, *, rotate_bytes: int, rotate_s: float) -> None:
        self._folder, self._name = folder, name
        self._rotate_bytes, self._rotate_s = rotate_bytes, rotate_s
        self._segment: Segment | None = None
        self._begun_s, self._number = 0.0, 0
        # Two containers that share a folder may both be process 1.
        self._writer = f"{os.getpid()}x{secrets.token_hex(4)}"

    def append(self, whole_lines: bytes, *, durable: bool) -> None:
        """Write lines; with `durable` they are on the disk when it returns.

        Raises:
            OSError: they aren't, and none of them is in the file. The file is closed, so that the next try begins another.
        """
        if self._segment is None:
            stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
            self._number += 1
            self._segment = Segment(self._folder, f"{self._name}-{stamp}-{self._writer}-{self._number:06d}")
            self._begun_s = time.monotonic()
        before = self._segment.size
        try:
            self._segment.append(whole_lines)
            if durable:
                self._segment.sync()
        except OSError:
            self._segment.take_back(before)
            self.finish()
            raise
        if self._segment.size >= self._rotate_bytes:
            self.finish()

    def due_in_s(self) -> float | None:
        """Seconds until the file is old enough; None where there is none."""
        return None if self._segment is None else max(0.0, self._begun_s + self._rotate_s - time.monotonic())

    def finish(self) -> None:
        """Complete the file."""
        if self._segment is not None:
            self._segment.finish()
            self._segment = None
