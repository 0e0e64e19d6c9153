"""Write one kind of record to a sequence of files, each complete at a size or an age."""

import os
import secrets
import time
from pathlib import Path
from typing import final

from serving.exposure.log_file import LogFile


@final
class RotatingFile:
    """Append lines to the newest file of a kind, and open the next when it is complete. Not thread-safe.

    Args:
        folder: of the log.
        name: of the kind; its files are `<name>-<time>-<process>-<number>.jsonl`.
        rotate_bytes: size at which a file is complete.
        rotate_s: age in seconds at which it is complete.
    """

    def __init__(self, folder: Path, name: str, *, rotate_bytes: int, rotate_s: float) -> None:
        self._folder, self._name = folder, name
        self._rotate_bytes, self._rotate_s = rotate_bytes, rotate_s
        self._file: LogFile | None = None
        self._begun_s, self._number = 0.0, 0
        # Two containers that share a folder may both be process 1.
        self._writer = f"{os.getpid()}x{secrets.token_hex(4)}"

    def append(self, whole_lines: bytes, *, durable: bool) -> None:
        """Write lines; with `durable` they are on disk when it returns.

        Raises:
            OSError: none of them is in the file. The file is closed, so that the next try opens another.
        """
        if self._file is None:
            stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
            self._number += 1
            self._file = LogFile(self._folder, f"{self._name}-{stamp}-{self._writer}-{self._number:06d}")
            self._begun_s = time.monotonic()
        before = self._file.size
        try:
            self._file.append(whole_lines)
            if durable:
                self._file.sync()
        except OSError:
            self._file.truncate(before)
            self.finish()
            raise
        if self._file.size >= self._rotate_bytes:
            self.finish()

    def due_in_s(self) -> float | None:
        """Return the seconds until the file is old enough; None where there is none."""
        return None if self._file is None else max(0.0, self._begun_s + self._rotate_s - time.monotonic())

    def finish(self) -> None:
        """Complete the file."""
        if self._file is not None:
            self._file.finish()
            self._file = None
