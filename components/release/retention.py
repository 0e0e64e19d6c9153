"""Choose the releases to delete by age, size and number; those that are served or may be rolled back to are kept."""

import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from components.contract.errors import InputError
from components.contract.storage.labels import Labels
from components.contract.storage.retention import entries_to_remove
from components.contract.storage.store_layout import UNFINISHED

DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Limits:
    """The limits of retention; 0 is no limit.

    Attributes:
        count: greatest number of releases.
        days: greatest age of one.
        bytes: greatest size of all together.
    """

    count: int = 0
    days: float = 0.0
    bytes: int = 0

    def __post_init__(self) -> None:
        if not (self.count >= 0 and self.days >= 0 and self.bytes >= 0):
            raise InputError(f"what is kept of releases is above 0, or 0 for no limit, got {self}")
        if not (self.count or self.days or self.bytes):
            raise InputError("expected how many releases, of which age or of how many bytes are to be kept, got no limit; name one")


@dataclass(frozen=True)
class StoredRelease:
    """A release with the time of its publication and its size with its serving bundle, in bytes."""

    version: int
    created_us: int
    size: int


def protected_versions(versions: Collection[int], labels: Labels | None) -> set[int]:
    """Return the releases kept whatever the limits: the newest, the labelled, and those that a rollback returns to."""
    stay = {max(versions)} if versions else set[int]()
    if labels is not None:
        stay |= set(labels.now.values())
        stay |= {version for carriers in labels.carried.values() for version in [each for each in carriers if each in versions][-2:]}
    return stay & set(versions)


def releases_to_remove(releases: Sequence[StoredRelease], stay: Collection[int], limits: Limits, *, now_us: int) -> list[StoredRelease]:
    """Choose the releases to delete, the oldest first."""
    oldest_us = now_us - limits.days * DAY_US if limits.days else 0
    return entries_to_remove(
        sorted(releases, key=lambda each: each.version),
        too_old=lambda each: each.created_us < oldest_us,
        bytes=limits.bytes,
        count=limits.count,
        stays=lambda each: each.version in stay,
    )


def size_of(folder: Path) -> int:
    """Sum the sizes of a folder's files in bytes; 0 where there is none."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def remove(folder: Path) -> None:
    """Delete a folder: first rename it, so that it disappears at once, then delete its files."""
    aside = folder.with_name(f"{UNFINISHED}removed-{folder.name}")
    folder.rename(aside)
    shutil.rmtree(aside)
