"""Erase shoppers from the log; requests stay on disk until no file holds a line of theirs."""

import hashlib
import json
import logging
import os
import secrets
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

REQUEST_SUFFIX, TEMPORARY_SUFFIX, LOCK = ".forget", ".asking", ".forgetting"
TEMPORARY_MAX_AGE_S = 3600  # a request file still temporary after this was never acknowledged
QUEUE_DELAY_S = 10  # longest time of a line in the log's queue
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class ErasureCounts:
    """Count lines erased, files rewritten or removed, and shoppers who may still have lines in files being written."""

    lines: int = 0
    files: int = 0
    waiting: int = 0


def request_erasure(folder: Path, shopper: str, *, now_us: int) -> None:
    """Request that a shopper's lines up to now be erased; when this returns a crash can't lose the request.

    Args:
        folder: of the log.
        shopper: their pseudonym in the log (see pseudonym.py).
        now_us: microseconds since 1970. Later lines stay.

    Raises:
        OSError: the request can't be written.
    """
    name = hashlib.sha256(shopper.encode("utf-8", "replace")).hexdigest()[:32]
    request = json.dumps({"shopper": shopper, "time_us": now_us})
    # It replaces an earlier request for the same shopper; the file is private since it names them.
    # A service may be asked over HTTP while it takes up the same request from its store: each writes a file of its own.
    temporary = folder / f"{name}.{os.getpid()}x{secrets.token_hex(4)}{TEMPORARY_SUFFIX}"
    write_private(folder / f"{name}{REQUEST_SUFFIX}", request, beside=temporary)


def read_requests(folder: Path) -> dict[Path, dict[str, Any]]:
    """Return the requests of a log that aren't executed yet, by file: the `shopper`, and `time_us` up to which lines are erased."""
    return {path: json.loads(path.read_bytes()) for path in sorted(folder.glob(f"*{REQUEST_SUFFIX}"))}


def erase(folder: Path, rows: EventRows) -> ErasureCounts:
    """Execute the requests in all complete files; a file that is still being written is handled by a later call.

    Each file is rewritten beside itself and replaced, so that a reader sees the old one or the new one, and a crash
    loses nothing. While another process is erasing this one does nothing.

    Raises:
        OSError: a file couldn't be rewritten; the requests stay.
    """
    with locked(folder / LOCK, patience_s=0, mode=0o640) as is_alone:
        if is_alone:
            _remove_partial_files(folder)
        requests = read_requests(folder) if is_alone else {}
        if not requests:
            return ErasureCounts()
        being_written = [opened_at_s(path) for path in folder.glob(f"*{OPEN}")]  # before the complete ones are listed
        until_us = {request["shopper"]: int(request["time_us"]) for request in requests.values()}
        dropped = [_erase_lines(path, until_us, rows) for path in sorted(folder.glob(f"*{COMPLETE}"))]
        waiting = 0
        for path, request in requests.items():
            if any(since_s <= request["time_us"] / 1e6 + QUEUE_DELAY_S for since_s in being_written):
                waiting += 1
            elif json.loads(path.read_bytes()) == request:  # else it was requested again meanwhile
                path.unlink()
        sync(folder)
    erased = ErasureCounts(sum(dropped), sum(map(bool, dropped)), waiting)
    _LOG.info("%d lines of %d shoppers to be forgotten erased from %d files", erased.lines, len(requests), erased.files)
    return erased


def _erase_lines(path: Path, until_us: Mapping[str, int], rows: EventRows) -> int:
    """Rewrite a file without the shoppers' lines; return how many were erased."""
    has_dataset_columns = not path.name.startswith("decisions-")
    user, time = (rows.columns["user"], rows.columns["time"]) if has_dataset_columns else ("user", "time")
    needles = [json.dumps(shopper).encode() for shopper in until_us]

    def is_kept(line: bytes) -> bool:
        if not any(needle in line for needle in needles):
            return True
        row: dict[str, Any] = json.loads(line)
        return row.get(user) not in until_us or row[time] > until_us[row[user]]

    rewritten, erased = path.with_name(f"{path.name}.rewritten"), 0
    with path.open("rb") as old:
        if not any(not is_kept(line) for line in old):
            return 0
        old.seek(0)
        with rewritten.open("wb") as new:
            for line in old:
                if is_kept(line):
                    new.write(line)
                else:
                    erased += 1
            new.flush()
            os.fsync(new.fileno())
            size = new.tell()
    if size:
        os.chmod(rewritten, path.stat().st_mode)
        rewritten.replace(path)
    else:
        path.unlink()
        rewritten.unlink()
    return erased


def _remove_partial_files(folder: Path) -> None:
    """Remove temporary files of killed processes: they would keep lines, or an id, that nobody erases."""
    for path in folder.glob(f"*{COMPLETE}.rewritten"):
        path.unlink()
    for path in folder.glob(f"*{TEMPORARY_SUFFIX}"):
        if path.stat().st_mtime < time.time() - TEMPORARY_MAX_AGE_S:
            path.unlink(missing_ok=True)


def opened_at_s(path: Path) -> float:
    """Return when a file of the log was opened, to the second, from its name."""
    stamp = path.name.split("-")[1]
    return datetime.strptime(stamp, "%Y%m%dT%H%M%S").replace(tzinfo=UTC).timestamp()
