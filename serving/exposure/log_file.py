"""One file of the log while it is written. It holds whole lines only, and gets its final name when it is complete."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import final

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
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                sync_folder(folder)
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
                    sync_folder(self._folder)
                else:
                    os.unlink(self._folder / f"{self._name}{OPEN}")
        finally:
            os.close(self._file)


@contextlib.contextmanager
def folder_locked(folder: Path) -> Iterator[None]:
    """Between making a file and locking it nobody may come and recover it."""
    lock = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR, 0o640)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def sync_folder(folder: Path) -> None:
    """A new name is on the disk only when its folder is."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def write_private(path: Path, text: str, *, beside: Path) -> None:
    """Write a file that only its owner may read, whole or not at all; when this returns a crash can't lose it.

    Args:
        path: of the file.
        text: in ASCII.
        beside: where it is written first, in the same folder.

    Raises:
        OSError: the disk doesn't take it.
    """
    with open(os.open(beside, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_folder(path.parent)
