"""Remove old files of the log: by age, size and number, but never one that labels still need.

All kinds of files are cut at one moment, so that a list stays together with its interactions. A file is removed when
all its lines are older. Lists whose attribution window is open, or that the dataset file's `windows.train` names, stay
whatever the limits; while a run reads the folder nothing is removed.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.storage.atomic_files import sync
from components.contract.storage.file_lock import exclusive_lock
from components.contract.storage.retention import entries_to_remove
from serving.exposure.erase import opened_at_s
from serving.exposure.log_file import COMPLETE

_LOG = logging.getLogger(__name__)
DAY_S = 86_400.0


@dataclass(frozen=True)
class Retention:
    """Limit the complete files of a log; 0 is no limit.

    Attributes:
        days: age of the lines.
        bytes: total size.
        files: total number.
    """

    days: float = 0.0
    bytes: int = 0
    files: int = 0

    def __post_init__(self) -> None:
        for name in ("days", "bytes", "files"):
            if not getattr(self, name) >= 0:
                raise InputError(f"what the log keeps of {name} is above 0, or 0 for no limit, got {getattr(self, name)}")

    def __bool__(self) -> bool:
        return bool(self.days or self.bytes or self.files)


@dataclass(frozen=True)
class LogFileInfo:
    """Describe a complete file: its path, the latest time of its last line, and its size."""

    path: Path
    ended_s: float
    size: int


def oldest_needed_s(dataset: Dataset, now_s: float) -> float:
    """Return the time from which on lists may still get labels, or are in the dataset file's training window."""
    open_s = now_s - dataset.attribution - dataset.session_gap
    match dataset.windows.train:
        case None:
            return open_s
        case timedelta() as length:
            return min(open_s, now_s - length.total_seconds())
        case date:
            return min(open_s, date.timestamp())


def files_to_remove(files: Sequence[LogFileInfo], retention: Retention, *, now_s: float, needed_s: float) -> list[LogFileInfo]:
    """Return the files beyond the limits, the oldest first, without those that have lines of `needed_s` or later."""
    oldest_s = now_s - retention.days * DAY_S if retention.days else 0
    return entries_to_remove(
        sorted(files, key=lambda file: (file.ended_s, file.path)),
        too_old=lambda file: file.ended_s < oldest_s,
        bytes=retention.bytes,
        count=retention.files,
        stays=lambda file: file.ended_s >= needed_s,
    )


def remove_old(folder: Path, retention: Retention, dataset: Dataset, *, now_s: float, rotate_s: float) -> list[Path]:
    """Remove the files of a log beyond its retention, unless a run reads them.

    Args:
        folder: of the log.
        retention: the limits.
        dataset: its windows decide what is needed.
        now_s: seconds since 1970.
        rotate_s: how long a file is written at most.

    Raises:
        OSError: a file couldn't be removed.
    """
    with exclusive_lock(folder) as unused:
        if not unused:
            return []
        files = [_file_info(path, rotate_s) for path in folder.glob(f"*{COMPLETE}")]
        excess = files_to_remove(files, retention, now_s=now_s, needed_s=oldest_needed_s(dataset, now_s))
        for file in excess:
            file.path.unlink()
        if excess:
            sync(folder)
            _LOG.info("%d files of the log removed, %d bytes", len(excess), sum(file.size for file in excess))
    return [file.path for file in excess]


def _file_info(path: Path, rotate_s: float) -> LogFileInfo:
    stat = path.stat()
    # An erasure rewrites the file: it is newer than its lines.
    return LogFileInfo(path, min(stat.st_mtime, opened_at_s(path) + rotate_s), stat.st_size)
