"""How long the log's files are kept: by age, size and number, and never less than a label needs.

All kinds are cut at one moment, so that what is left holds a list with all that came of it. A file goes when all its lines are older. Lists
whose attribution window is open, or that the dataset file's `windows.train` names, stay whatever the limits say; while a run reads the
folder nothing goes.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.storage.folder_lock import alone
from components.contract.storage.retention import beyond
from serving.exposure.erase import begun_s
from serving.exposure.log_file import COMPLETE, sync_folder

_LOG = logging.getLogger(__name__)
DAY_S = 86_400.0


@dataclass(frozen=True)
class Retention:
    """What is kept at most of complete files; 0 is no limit.

    Attributes:
        days: of the lines' age.
        bytes: of all together.
        files: of all together.
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
class Kept:
    """A complete file, when its last line was written at the latest, and its size."""

    path: Path
    ended_s: float
    size: int


def needed_from_s(dataset: Dataset, now_s: float) -> float:
    """The moment from which on lists may still get labels, or train by the dataset file's word."""
    train = dataset.windows.train
    open_s = now_s - dataset.attribution - dataset.session_gap
    return min(open_s, train.timestamp()) if isinstance(train, datetime) else open_s


def too_many(files: Sequence[Kept], retention: Retention, *, now_s: float, needed_s: float) -> list[Kept]:
    """Those to be removed, the oldest first, without those that have lines of `needed_s` or later."""
    oldest_s = now_s - retention.days * DAY_S if retention.days else 0
    return beyond(
        sorted(files, key=lambda file: (file.ended_s, file.path)),
        too_old=lambda file: file.ended_s < oldest_s,
        bytes=retention.bytes,
        count=retention.files,
        stays=lambda file: file.ended_s >= needed_s,
    )


def remove_old(folder: Path, retention: Retention, dataset: Dataset, *, now_s: float, rotate_s: float) -> list[Path]:
    """Remove the files of a log beyond its retention; nothing while somebody reads them.

    Args:
        folder: of the log.
        retention: the limits.
        dataset: whose labels it holds.
        now_s: seconds since 1970.
        rotate_s: how long a file is written at most.

    Raises:
        OSError: a file couldn't be removed.
    """
    with alone(folder) as free:
        if not free:
            return []
        files = [_kept(path, rotate_s) for path in folder.glob(f"*{COMPLETE}")]
        gone = too_many(files, retention, now_s=now_s, needed_s=needed_from_s(dataset, now_s))
        for file in gone:
            file.path.unlink()
        if gone:
            sync_folder(folder)
            _LOG.info("%d files of the log removed, %d bytes", len(gone), sum(file.size for file in gone))
    return [file.path for file in gone]


def _kept(path: Path, rotate_s: float) -> Kept:
    found = path.stat()
    # Rewritten without a forgotten shopper it is new, and its lines are as old as ever.
    return Kept(path, min(found.st_mtime, begun_s(path) + rotate_s), found.st_size)
