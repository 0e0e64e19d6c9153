"""Ids as 64-bit numbers that are the same on every machine and in every run."""

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def hashed(ids: "pa.Array[Any]") -> NDArray[np.uint64]:
    """The first 8 bytes of BLAKE2b of each id [N]; an id is a text, bytes or a whole number, and a missing one is ""."""
    encoded = ids.dictionary_encode("encode")
    of_distinct = np.array([_hash(value) for value in encoded.dictionary.to_pylist()], np.uint64)
    hashes: NDArray[np.uint64] = of_distinct[encoded.indices.to_numpy(zero_copy_only=False)]
    return hashes


def _hash(value: bytes | str | int | None) -> int:
    text = value if isinstance(value, bytes) else b"" if value is None else str(value).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")
