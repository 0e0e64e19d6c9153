"""Write one file of the log: complete lines only, renamed to its final name when it is complete."""

import contextlib
import os
from pathlib import Path
from typing import final

from components.contract.storage.atomic_files import sync
from components.contract.storage.file_lock import locked, try_lock

OPEN, COMPLETE = ".jsonl.open", ".jsonl"
LOCK = ".lock"


@final
class LogFile:
    """Append lines to a file.

    Writes are unbuffered: a kill loses none. The file is locked, so that no other process recovers it.

    Args:
        folder: of the log.
        name: without suffix; new in the folder.

    Raises:
        OSError: it can't be created.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._torn = False
        self.size = 0
        with lock_folder(folder):
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
            OSError: they couldn't be written; a partial write is cut off again.
        """
        view = memoryview(whole_lines)
        try:
            while view:
                view = view[os.write(self._file, view) :]
        except OSError:
            self.truncate(self.size)
            raise
        self.size += len(whole_lines)

    def truncate(self, size: int) -> None:
        """Cut off what is beyond a size. If even that fails the end is torn, and the file is left to recovery."""
        try:
            os.ftruncate(self._file, size)
            self.size = size
        except OSError:
            self._torn = True

    def sync(self) -> None:
        """Return when everything written is on disk.

        Raises:
            OSError: the sync failed.
        """
        os.fdatasync(self._file)

    def finish(self) -> None:
        """Rename the file to its final name and close it; remove it if empty. If that fails, recovery does it later."""
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


def lock_folder(folder: Path) -> contextlib.AbstractContextManager[bool]:
    """Lock the folder, so that nobody recovers a file between its creation and its lock."""
    return locked(folder / LOCK, mode=0o640)
