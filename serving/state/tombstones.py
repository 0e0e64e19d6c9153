"""Who was forgotten, and when: what keeps an older state, wherever it comes from, from bringing a shopper back.

A tombstone holds a digest of the shopper's id and a time, for a year. While it stands, no loader takes in what it has of the shopper, and
events up to that time count for the shopper no more; what comes later does.
"""

import hashlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import final

from components.contract.storage.atomic_files import write_private

RETENTION_S = 365 * 24 * 3600
_ENDING = ".forgotten"


def digest_of(shopper: str) -> bytes:
    """What stands for a shopper among the forgotten: 16 bytes."""
    return hashlib.blake2b(shopper.encode("utf-8", "surrogatepass"), digest_size=16, person=b"forgotten").digest()


@final
class Forgotten:
    """Digests of shoppers to the microseconds since 1970 up to which they are forgotten."""

    def __init__(self, until_us: Mapping[bytes, int] | None = None) -> None:
        self._until_us = dict(until_us or {})

    def __contains__(self, shopper: object) -> bool:
        return bool(self._until_us) and digest_of(str(shopper)) in self._until_us

    def __len__(self) -> int:
        return len(self._until_us)

    def covers(self, shopper: str, time_us: int) -> bool:
        """Whether what a shopper did at a moment is forgotten."""
        return bool(self._until_us) and time_us <= self._until_us.get(digest_of(shopper), -1)

    def add(self, shopper: str, until_us: int) -> None:
        """Forget a shopper up to a moment; a later one of before stays."""
        digest = digest_of(shopper)
        self._until_us[digest] = max(until_us, self._until_us.get(digest, 0))

    @property
    def until_us(self) -> Mapping[bytes, int]:
        """A copy of them."""
        return dict(self._until_us)

    def newer(self, other: "Forgotten") -> "Forgotten":
        """Those that another lacks, or has up to an earlier moment."""
        return Forgotten({who: until for who, until in self._until_us.items() if until > other._until_us.get(who, -1)})

    def update(self, other: "Forgotten") -> None:
        """Take another's in."""
        for who, until_us in other._until_us.items():
            self._until_us[who] = max(until_us, self._until_us.get(who, 0))


def write_tombstone(folder: Path, shopper: str, *, now_us: int) -> None:
    """Leave a tombstone in a folder, which only its owner may read; when this returns a crash can't lose it.

    Raises:
        OSError: the disk doesn't take it.
    """
    path = folder / f"{digest_of(shopper).hex()}{_ENDING}"
    write_private(path, str(now_us), beside=path.with_name(f"{path.name}.{os.getpid()}"))


def read_tombstones(folder: Path) -> Forgotten:
    """The tombstones of a folder; those whose year is over are removed."""
    forgotten, oldest_us = dict[bytes, int](), (time.time_ns() // 1000) - RETENTION_S * 1_000_000
    for path in folder.glob(f"*{_ENDING}"):
        until_us = int(path.read_text(encoding="ascii"))
        if until_us < oldest_us:
            path.unlink(missing_ok=True)
        else:
            forgotten[bytes.fromhex(path.name.removesuffix(_ENDING))] = until_us
    return Forgotten(forgotten)
