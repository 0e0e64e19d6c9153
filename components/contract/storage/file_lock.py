"""Lock folders and files among the processes of one machine; a lock ends with its process, however that ends.

Readers of a folder's files hold a shared lock; whoever removes old files takes an exclusive one.
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
    """Lock a folder, or a file that is made where there is none, while the block runs; yields whether this process has it.

    Args:
        path: of the folder or file.
        patience_s: how long to wait for another process.
        mode: of a file that is made.
    """
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT, mode)
    try:
        yield _lock(handle, patience_s)
    finally:
        os.close(handle)


def try_lock(opened: int | IO[bytes]) -> bool:
    """Try to lock an open file until it is closed; return whether this process has it."""
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
    while not (has_lock := try_lock(handle)) and time.monotonic() < until:
        time.sleep(_POLL_S)
    return has_lock


@contextmanager
def locked_for_reading(paths: Iterable[str]) -> Iterator[None]:
    """Lock the folders of these paths against removal while the block runs, where they have a lock file."""
    with ExitStack() as stack:
        for folder in sorted({os.path.dirname(path) for path in paths if "://" not in path}):
            lock = Path(folder, READING)
            if lock.exists():
                opened = stack.enter_context(lock.open("rb"))
                fcntl.flock(opened, fcntl.LOCK_SH)
        yield


@contextmanager
def shared_lock(folder: Path) -> Iterator[None]:
    """Lock a folder against removal of its files while the block runs.

    Raises:
        OSError: the folder isn't there, or may not be written to.
    """
    with (folder / READING).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield


def exclusive_lock(folder: Path) -> AbstractContextManager[bool]:
    """Try to lock a folder exclusively while the block runs; yields False where it is being read."""
    return locked(folder / READING, patience_s=0, mode=0o666)
