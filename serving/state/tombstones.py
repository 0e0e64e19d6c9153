"""Keep tombstones of erased shoppers, so that no older state, from whichever source, restores them.

A tombstone holds a digest of the shopper's id and a time, for a year. As long as it exists, loaders skip the shopper's
saved state, and events up to that time are ignored; later ones count.
"""

import hashlib
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import final

from components.contract.storage.atomic_files import write_private

RETENTION_S = 365 * 24 * 3600
_ENDING = ".forgotten"


def digest_of(shopper: str) -> bytes:
    """Return the digest of a shopper's id in a tombstone: 16 bytes."""
    return hashlib.blake2b(shopper.encode("utf-8", "surrogatepass"), digest_size=16, person=b"forgotten").digest()


@final
class Forgotten:
    """Set of tombstones: digests of shoppers to the end of the erased time, in microseconds since 1970."""

    def __init__(self, until_us: Mapping[bytes, int] | None = None) -> None:
        self._until_us = dict(until_us or {})

    def __contains__(self, shopper: object) -> bool:
        return bool(self._until_us) and digest_of(str(shopper)) in self._until_us

    def __len__(self) -> int:
        return len(self._until_us)

    def covers(self, shopper: str, time_us: int) -> bool:
        """Return whether a shopper's event at a moment is erased."""
        return bool(self._until_us) and time_us <= self._until_us.get(digest_of(shopper), -1)

    def add(self, shopper: str, until_us: int) -> None:
        """Add a tombstone; one with a later time stays."""
        digest = digest_of(shopper)
        self._until_us[digest] = max(until_us, self._until_us.get(digest, 0))

    @property
    def until_us(self) -> Mapping[bytes, int]:
        """Return a copy as a mapping."""
        return dict(self._until_us)

    def newer(self, other: "Forgotten") -> "Forgotten":
        """Return the tombstones that another set lacks, or has with an earlier time."""
        return Forgotten({who: until for who, until in self._until_us.items() if until > other._until_us.get(who, -1)})

    def update(self, other: "Forgotten") -> None:
        """Add the tombstones of another set."""
        for who, until_us in other._until_us.items():
            self._until_us[who] = max(until_us, self._until_us.get(who, 0))


def write_tombstone(folder: Path, shopper: str, *, now_us: int) -> None:
    """Write a tombstone into a folder, readable by the owner alone; durable when this returns.

    Raises:
        OSError: the disk doesn't take it.
    """
    path = folder / f"{digest_of(shopper).hex()}{_ENDING}"
    write_private(path, str(now_us), beside=path.with_name(f"{path.name}.{os.getpid()}x{secrets.token_hex(4)}"))


def read_tombstones(folder: Path) -> Forgotten:
    """Read the tombstones of a folder; expired ones are deleted."""
    forgotten, oldest_us = dict[bytes, int](), (time.time_ns() // 1000) - RETENTION_S * 1_000_000
    for path in folder.glob(f"*{_ENDING}"):
        until_us = int(path.read_text(encoding="ascii"))
        if until_us < oldest_us:
            path.unlink(missing_ok=True)
        else:
            forgotten[bytes.fromhex(path.name.removesuffix(_ENDING))] = until_us
    return Forgotten(forgotten)
