"""Lock a folder's files against removal while they are read: shared for readers, exclusive for retention."""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

READING = ".reading"  # the lock file of a folder whose files may be removed; its writer creates it


@contextmanager
def held(paths: Iterable[str]) -> Iterator[None]:
    """Lock the folders of these paths against removal while the block runs, where they have a lock file."""
    with ExitStack() as stack:
        for folder in sorted({os.path.dirname(path) for path in paths if "://" not in path}):
            lock = Path(folder, READING)
            if lock.exists():
                opened = stack.enter_context(lock.open("rb"))
                fcntl.flock(opened, fcntl.LOCK_SH)
        yield


@contextmanager
def read(folder: Path) -> Iterator[None]:
    """Lock a folder against removal of its files while the block runs.

    Raises:
        OSError: the folder isn't there, or may not be written to.
    """
    with (folder / READING).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield


@contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """Try to lock a folder exclusively while the block runs; yields False where it is being read."""
    with (folder / READING).open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
