"""Forgetting a shopper in the log: what was asked for is kept on the disk until no file holds a line of his any more."""

import hashlib
import json
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.contract.storage.atomic_files import sync, write_private
from components.contract.storage.file_lock import locked
from serving.exposure.log_file import COMPLETE, OPEN
from serving.exposure.serialization import EventRows

ASKED, ASKING, LOCK = ".forget", ".asking", ".forgetting"
ASKING_S = 3600  # a wish that is so old and still being written was never acknowledged
LATE_S = 10  # a line may wait so long in the log's queue before it is written
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Erased:
    """What was done: lines dropped, files rewritten or removed, and shoppers some of whose lines are in files that are still written."""

    lines: int = 0
    files: int = 0
    waiting: int = 0


def ask_to_forget(folder: Path, shopper: str, *, now_us: int) -> None:
    """Have a shopper's lines up to now erased; when this returns a crash can't lose the wish.

    Args:
        folder: of the log.
        shopper: his key in the log (see keys.py).
        now_us: microseconds since 1970. What he does later stays.

    Raises:
        OSError: the disk doesn't take it.
    """
    name = hashlib.sha256(shopper.encode("utf-8", "replace")).hexdigest()[:32]
    wish = json.dumps({"shopper": shopper, "time_us": now_us})
    # A wish of before is part of this one; it names a shopper.
    write_private(folder / f"{name}{ASKED}", wish, beside=folder / f"{name}.{os.getpid()}{ASKING}")


def erase(folder: Path, rows: EventRows) -> Erased:
    """Do what was asked for, in all complete files; a file that is still written is done when it is complete, by a later call.

    A file is rewritten beside itself and takes its own name, so that a reader sees the old one or the new one, and a crash loses nothing.
    While another process is at it this one does nothing.

    Raises:
        OSError: a file couldn't be rewritten; what was asked for stays.
    """
    with locked(folder / LOCK, patience_s=0, mode=0o640) as alone:
        if alone:
            _cleared(folder)
        wishes = {path: json.loads(path.read_bytes()) for path in sorted(folder.glob(f"*{ASKED}"))} if alone else {}
        if not wishes:
            return Erased()
        being_written = [begun_s(path) for path in folder.glob(f"*{OPEN}")]  # before the complete ones are listed
        until_us = {wish["shopper"]: int(wish["time_us"]) for wish in wishes.values()}
        dropped = [_rewritten(path, until_us, rows) for path in sorted(folder.glob(f"*{COMPLETE}"))]
        waiting = 0
        for path, wish in wishes.items():
            if any(since_s <= wish["time_us"] / 1e6 + LATE_S for since_s in being_written):
                waiting += 1
            elif json.loads(path.read_bytes()) == wish:  # not asked for again meanwhile
                path.unlink()
        sync(folder)
    done = Erased(sum(dropped), sum(map(bool, dropped)), waiting)
    _LOG.info("%d lines of %d shoppers to be forgotten erased from %d files", done.lines, len(wishes), done.files)
    return done


def _rewritten(path: Path, until_us: Mapping[str, int], rows: EventRows) -> int:
    """How many lines it lost."""
    own = not path.name.startswith("decisions-")
    user, time = (rows.columns["user"], rows.columns["time"]) if own else ("user", "time")
    marks = [json.dumps(shopper).encode() for shopper in until_us]

    def kept(line: bytes) -> bool:
        if not any(mark in line for mark in marks):
            return True
        row: dict[str, Any] = json.loads(line)
        return row.get(user) not in until_us or row[time] > until_us[row[user]]

    beside, lost = path.with_name(f"{path.name}.rewritten"), 0
    with path.open("rb") as old:
        if not any(not kept(line) for line in old):
            return 0
        old.seek(0)
        with beside.open("wb") as new:
            for line in old:
                if kept(line):
                    new.write(line)
                else:
                    lost += 1
            new.flush()
            os.fsync(new.fileno())
            left = new.tell()
    if left:
        os.chmod(beside, path.stat().st_mode)
        beside.replace(path)
    else:
        path.unlink()
        beside.unlink()
    return lost


def _cleared(folder: Path) -> None:
    """Remove what a kill has left half done: it would keep lines, or a name, that nobody erases."""
    for path in folder.glob(f"*{COMPLETE}.rewritten"):
        path.unlink()
    for path in folder.glob(f"*{ASKING}"):
        if path.stat().st_mtime < time.time() - ASKING_S:
            path.unlink(missing_ok=True)


def begun_s(path: Path) -> float:
    """When a file of the log was begun, which its name tells to the second."""
    stamp = path.name.split("-")[1]
    return datetime.strptime(stamp, "%Y%m%dT%H%M%S").replace(tzinfo=UTC).timestamp()
