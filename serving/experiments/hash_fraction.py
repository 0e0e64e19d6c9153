"""Draw numbers by hashing: what assigns by salted hashes needs no table, and every replica agrees."""

import hashlib


def hash_fraction(*parts: str) -> float:
    """Return a number in [0, 1) from the hash of the parts: the first 53 bits of SHA-256, exact in double precision."""
    # The length before each part: ("a", "bc") and ("ab", "c") aren't the same.
    message = b"".join(len(raw).to_bytes(4, "big") + raw for raw in (part.encode("utf-8", "surrogatepass") for part in parts))
    return (int.from_bytes(hashlib.sha256(message).digest()[:8], "big") >> 11) / 2.0**53
