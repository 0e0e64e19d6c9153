"""Recover files of a killed process: keep complete lines, drop and count torn ones."""

import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from components.contract.storage.atomic_files import sync, write_whole
from components.contract.storage.file_lock import try_lock
from serving.exposure.log_file import COMPLETE, OPEN, lock_folder

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class RecoveryCounts:
    """Count files completed, lines kept in them, and torn lines dropped."""

    files: int = 0
    kept: int = 0
    torn: int = 0


def recover(folder: Path) -> RecoveryCounts:
    """Complete all files of the folder that no living process writes to.

    A kill tears the last line at most. After a power failure, what wasn't synced may be missing or be zeros in the
    middle of a file, so every line is checked: one that isn't a JSON object, or doesn't end, is dropped. A file that
    the disk has no room to repair is left for the next time.
    """
    counts = RecoveryCounts()
    with lock_folder(folder):
        for path in sorted(folder.glob(f"*{OPEN}")):
            with path.open("r+b") as file:
                if not try_lock(file):
                    continue
                lines = file.read().splitlines(keepends=True)
                good = [line for line in lines if _is_complete(line)]
                try:
                    _complete(path, file, lines, good)
                except OSError as error:
                    _LOG.warning("%s can't be recovered yet: %s", path, error)
                    continue
            counts = RecoveryCounts(counts.files + 1, counts.kept + len(good), counts.torn + len(lines) - len(good))
        sync(folder)
    return counts


def _complete(path: Path, file: BinaryIO, lines: list[bytes], good: list[bytes]) -> None:
    if good == lines[: len(good)]:
        file.truncate(sum(map(len, good)))  # needs no room
        os.fsync(file.fileno())
    else:
        write_whole(path, b"".join(good), beside=path.with_name(f"{path.name}.rewritten"))
    if good:
        path.rename(path.with_name(path.name.removesuffix(OPEN) + COMPLETE))
    else:
        path.unlink()


def _is_complete(line: bytes) -> bool:
    if not line.endswith(b"\n"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
