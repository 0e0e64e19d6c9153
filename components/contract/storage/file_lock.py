"""Locks on folders and files among the processes of one machine; a lock ends with its process, however that ends.

Whoever reads a folder's files for long holds them; whoever removes old ones waits until nobody does.
"""

import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from math import inf
from pathlib import Path
from typing import IO

READING = ".reading"  # in a folder whose files may be removed; its writer makes it
_POLL_S = 0.1


@contextmanager
def locked(path: Path, *, patience_s: float = inf, mode: int = 0o644) -> Iterator[bool]:
    """Whether this process alone has a folder, or a file that is made where there is none, while the block runs.

    Args:
        path: of the folder or file.
        patience_s: how long to wait for whoever has it.
        mode: of a file that is made.
    """
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT, mode)
    try:
        yield _lock(handle, patience_s)
    finally:
        os.close(handle)


def try_lock(opened: int | IO[bytes]) -> bool:
    """Whether an open file is this process's alone from now on, until it is closed."""
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock(handle: int, patience_s: float) -> bool:
    if patience_s == inf:
        fcntl.flock(handle, fcntl.LOCK_EX)
        return True
    until = time.monotonic() + patience_s
    while not (mine := try_lock(handle)) and time.monotonic() < until:
        time.sleep(_POLL_S)
    return mine


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


def alone(folder: Path) -> AbstractContextManager[bool]:
    """Whether nobody reads the folder's files, nor begins to while the block runs."""
    return locked(folder / READING, patience_s=0, mode=0o666)
