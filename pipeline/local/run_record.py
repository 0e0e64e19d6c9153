"""What a folder of runs remembers: which champion the run in hand is compared with, and what the last finished run gave."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from components.contract.errors import RunError
from components.release.publish import newest, versions
from pipeline.results.atomic_write import write_atomically

_WAIT_S = 10.0  # for what a killed run left behind to end


@dataclass(frozen=True)
class Pin:
    """What must stay the same when a run is taken up again.

    Attributes:
        key: digest of data, dataset file and code: the same key, the same run.
        champion: the release to beat, 0 for none. It stays although the run has published a newer one meanwhile: a run that is taken up
            again, or asked for once more, gives the same report.
        attempt: how often a release was found missing, so that the cache doesn't believe it made.
        released: the release that the run ended with, None while it runs or when the model was refused.
    """

    key: str
    champion: int
    attempt: int = 0
    released: int | None = None


def pin(file: Path, key: str, releases: Path) -> Pin:
    """The pin of a run that starts or is taken up again; it is written before it is returned."""
    last = Pin(**json.loads(file.read_text(encoding="utf-8"))) if file.exists() else None
    there = versions(releases)
    gone = last is not None and any(version and version not in there for version in (last.champion, last.released))
    attempt = last.attempt + gone if last else 0
    if last and last.key == key and last.champion in (0, *there):
        found = Pin(key, last.champion, attempt)
    else:
        found = Pin(key, newest(releases) or 0, attempt)
    write_atomically(file, json.dumps(asdict(found)))
    return found


@contextmanager
def run_lock(root: Path) -> Iterator[None]:
    """Keeps other runs out of a folder; the lock ends with this process, however it ends.

    Raises:
        RunError: another run is at work there.
    """
    root.mkdir(parents=True, exist_ok=True)
    handle = os.open(root / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        until = time.monotonic() + _WAIT_S
        while not _locked(handle):
            if time.monotonic() > until:
                raise RunError(f"{root}: another run is at work here; wait for its end, or give another --root")
            time.sleep(0.1)
        yield
    finally:
        os.close(handle)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
