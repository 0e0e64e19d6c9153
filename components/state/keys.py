"""The keys of items within segments, and session ids, as the reducer and the state stores take them."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache

SEPARATOR = "\x1f"  # the unit separator: the service refuses ids that hold it, so no item's own key begins with it


@lru_cache(maxsize=1 << 16)
def session_hash(name: str) -> int:
    """Hash a session's id to 64 bits, the same in every process (BLAKE2b); never 0, which stands for no session."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True) or 1


def segment_of(values: Sequence[str]) -> str | None:
    """Join the values of the segment's features; None where one is missing: such an event counts for no segment."""
    return SEPARATOR.join(values) if all(values) else None


def segment_key(segment: str, item: str) -> str:
    """Make the key under which the item side keeps an item's state within a segment of the users."""
    return f"{SEPARATOR}{segment}{SEPARATOR}{item}"
