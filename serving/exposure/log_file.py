"""One file of the log while it is written. It holds whole lines only, and gets its final name when it is complete."""

import contextlib
import os
from pathlib import Path
from typing import final

from components.contract.storage.atomic_files import sync
from components.contract.storage.file_lock import locked, try_lock

OPEN, COMPLETE = ".jsonl.open", ".jsonl"
LOCK = ".lock"


@final
class Segment:
    """A file that lines are appended to.

    It is written unbuffered, so that a process that is killed has lost nothing it wrote; and it is locked as long as its process
    lives, so that no other takes it for one that was left behind.

    Args:
        folder: of the log.
        name: without ending; new in the folder.

    Raises:
        OSError: it can't be made.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._torn = False
        self.size = 0
        with folder_locked(folder):
            self._file = os.open(folder / f"{name}{OPEN}", os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o640)
            try:
                try_lock(self._file)  # nobody else has it: it is new, and the folder is locked
                sync(folder)
            except OSError:
                os.close(self._file)
                raise

    def append(self, whole_lines: bytes) -> None:
        """Write lines, all of them or none.

        Raises:
            OSError: they couldn't be written; what had been is cut off again.
        """
        view = memoryview(whole_lines)
        try:
            while view:
                view = view[os.write(self._file, view) :]
        except OSError:
            self.take_back(self.size)
            raise
        self.size += len(whole_lines)

    def take_back(self, size: int) -> None:
        """Cut off what stands behind a size. If even that fails the end is torn, and the file is left to recovery."""
        try:
            os.ftruncate(self._file, size)
            self.size = size
        except OSError:
            self._torn = True

    def sync(self) -> None:
        """Return when all that was written is on the disk.

        Raises:
            OSError: it isn't.
        """
        os.fdatasync(self._file)

    def finish(self) -> None:
        """Give the file its final name and let go of it; an empty one is removed. Where that fails, recovery does it later."""
        try:
            with contextlib.suppress(OSError):
                if self._torn:
                    return
                if self.size:
                    os.fsync(self._file)
                    os.rename(self._folder / f"{self._name}{OPEN}", self._folder / f"{self._name}{COMPLETE}")
                    sync(self._folder)
                else:
                    os.unlink(self._folder / f"{self._name}{OPEN}")
        finally:
            os.close(self._file)


def folder_locked(folder: Path) -> contextlib.AbstractContextManager[bool]:
    """Between making a file and locking it nobody may come and recover it."""
    return locked(folder / LOCK, mode=0o640)
