"""Whoever reads a folder's files for long holds them; whoever removes old ones waits until nobody does."""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

READING = ".reading"  # in a folder whose files may be removed; its writer makes it


@contextmanager
def held(paths: Iterable[str]) -> Iterator[None]:
    """Keep the files of these paths from being removed while the block runs, as far as their folders are of this kind."""
    with ExitStack() as stack:
        for folder in sorted({os.path.dirname(path) for path in paths if "://" not in path}):
            lock = Path(folder, READING)
            if lock.exists():
                opened = stack.enter_context(lock.open("rb"))
                fcntl.flock(opened, fcntl.LOCK_SH)
        yield


@contextmanager
def read(folder: Path) -> Iterator[None]:
    """Keep the folder's files from being removed while the block runs.

    Raises:
        OSError: the folder isn't there, or may not be written to.
    """
    with (folder / READING).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield


@contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """Whether nobody reads the folder's files, nor begins to while the block runs."""
    with (folder / READING).open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
