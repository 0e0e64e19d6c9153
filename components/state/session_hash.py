"""A session's id as the reducer takes it."""

import hashlib


def session_hash(name: str) -> int:
    """A stable 64-bit hash of a session's id; never 0, which means that none is given."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True) or 1
