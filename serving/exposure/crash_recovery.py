"""Files that a process left behind when it was killed: whole lines are kept, torn ones dropped and counted."""

import fcntl
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from serving.exposure.log_file import COMPLETE, OPEN, folder_locked, sync_folder

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recovered:
    """What was found: files completed, lines kept in them, lines dropped."""

    files: int = 0
    kept: int = 0
    torn: int = 0


def recover(folder: Path) -> Recovered:
    """Complete all files of the folder that no living process writes to.

    A kill tears the last line at most. When the power fails, what wasn't synced may be gone or be zeros in the middle of a file, so every
    line is looked at: one that isn't a JSON object, or doesn't end, is dropped. A file that the disk has no room to repair is left for the
    next time.
    """
    found = Recovered()
    with folder_locked(folder):
        for path in sorted(folder.glob(f"*{OPEN}")):
            with path.open("r+b") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                lines = file.read().splitlines(keepends=True)
                good = [line for line in lines if _whole(line)]
                try:
                    _complete(path, file, lines, good)
                except OSError as error:
                    _LOG.warning("%s can't be recovered yet: %s", path, error)
                    continue
            found = Recovered(found.files + 1, found.kept + len(good), found.torn + len(lines) - len(good))
        sync_folder(folder)
    return found


def _complete(path: Path, file: BinaryIO, lines: list[bytes], good: list[bytes]) -> None:
    if good == lines[: len(good)]:
        file.truncate(sum(map(len, good)))  # needs no room
        os.fsync(file.fileno())
    else:
        beside = path.with_name(f"{path.name}.rewritten")
        beside.write_bytes(b"".join(good))
        with beside.open("rb") as written:
            os.fsync(written.fileno())
        beside.replace(path)
    if good:
        path.rename(path.with_name(path.name.removesuffix(OPEN) + COMPLETE))
    else:
        path.unlink()


def _whole(line: bytes) -> bool:
    if not line.endswith(b"\n"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
