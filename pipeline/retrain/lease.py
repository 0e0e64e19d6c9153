"""Let one process at a time retrain: a lock with an owner, renewed while it is held, which a dead owner loses.

On one machine the kernel's lock tells at once whether the owner lives. It reaches other machines on most shared folders
(NFS 4, Kubernetes' ReadWriteMany volumes); where it doesn't, the owner's record counts until it expires. Two machines
whose locks don't reach each other and that take an expired record within the same moment both see, a moment later, whose
record stayed: the other gives up. Their clocks must agree within `TTL_S`. A bucket has neither locks nor renames: the
folder must not be one.
"""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import final

from components.contract.errors import RunError
from components.contract.storage.atomic_files import write_whole
from components.contract.storage.file_lock import locked

TTL_S = 120.0
CONFIRM_S = 2.0  # a record written at the same moment on another machine is visible by then
_LOCK, _RECORD = ".lock", "lease.json"


class Busy(RunError):  # noqa: N818 - not a failure: another one does the work
    """Another process retrains; the text says which."""


@dataclass(frozen=True)
class Owner:
    """The process that holds a lease.

    Attributes:
        host: its machine.
        pid: its id there.
        since: when it took the lease, seconds since the epoch.
        expires: when the lease ends unless it is renewed.
    """

    host: str
    pid: int
    since: float
    expires: float

    @property
    def sentence(self) -> str:
        """Say who it is."""
        since = datetime.fromtimestamp(self.since, UTC).isoformat(timespec="seconds")
        return f"process {self.pid} of {self.host} is at work since {since}; end it, or wait for its end"


@final
class Lease:
    """A lease that this process holds.

    Args:
        folder: that it is for.
        owner: this process.
    """

    def __init__(self, folder: Path, owner: Owner) -> None:
        self._folder, self._owner, self._lost = folder, owner, False

    def check(self) -> None:
        """Raise RunError where another process has taken it."""
        if self._lost or not _same(read_owner(self._folder), self._owner):
            self._lost = True
            raise RunError(f"{self._folder}: another process has taken over, as this one didn't renew its lease in time")

    def renew(self, now: float) -> None:
        """Hold it for `TTL_S` from now on.

        Raises:
            RunError: another process has taken it.
        """
        self.check()
        self._owner = replace(self._owner, expires=now + TTL_S)
        _write(self._folder, self._owner)


@contextmanager
def held_lease(folder: Path, *, clock: Callable[[], float] = time.time, host: str | None = None) -> Iterator[Lease]:
    """Hold the lease of a folder while the block runs.

    When it is lost all the same, because this machine stood still for too long, this process gets SIGTERM.

    Raises:
        Busy: another process holds it.
    """
    host = host or socket.gethostname()
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / _LOCK, patience_s=0) as mine:
        before, now = read_owner(folder), clock()
        # With the kernel's lock in hand, an owner on this machine is dead; one on another is until its lease has ended.
        if before is not None and (not mine or (before.host != host and before.expires > now)):
            raise Busy(f"{folder}: {before.sentence}")
        if not mine:
            raise Busy(f"{folder}: another process is about to begin")
        owner = Owner(host, os.getpid(), now, now + TTL_S)
        _write(folder, owner)
        if before is not None and before.host != host:
            time.sleep(CONFIRM_S)
        if not _same(after := read_owner(folder), owner):
            raise Busy(f"{folder}: {after.sentence if after else 'another process was quicker'}")
        lease, done = Lease(folder, owner), threading.Event()
        renewal = threading.Thread(target=_renew, args=(lease, done, clock), name="lease", daemon=True)
        renewal.start()
        try:
            yield lease
        finally:
            done.set()
            renewal.join()
            if _same(read_owner(folder), owner):
                (folder / _RECORD).unlink(missing_ok=True)


def read_owner(folder: Path) -> Owner | None:
    """Return the holder of a folder's lease; None where nobody does."""
    with suppress(FileNotFoundError, ValueError, TypeError):
        return Owner(**json.loads((folder / _RECORD).read_bytes()))
    return None


def _renew(lease: Lease, done: threading.Event, clock: Callable[[], float]) -> None:
    while not done.wait(TTL_S / 4):
        try:
            lease.renew(clock())
        except RunError:
            os.kill(os.getpid(), signal.SIGTERM)
            return
        except OSError:  # the folder may be back in time
            continue


def _write(folder: Path, owner: Owner) -> None:
    write_whole(folder / _RECORD, json.dumps(asdict(owner)).encode(), beside=folder / f".{_RECORD}.{owner.host}.{owner.pid}")


def _same(one: Owner | None, other: Owner) -> bool:
    return one is not None and (one.host, one.pid, one.since) == (other.host, other.pid, other.since)
