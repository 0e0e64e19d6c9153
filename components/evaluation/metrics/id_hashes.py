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


def begins_with_zeros(hashes: NDArray[np.uint64], bits: int) -> NDArray[np.bool_]:
    """Which of the hashes [N] are in the sample of those that begin with so many zero bits: 1 in 2^bits, all at 0."""
    return hashes < np.uint64(2 ** (64 - bits)) if bits else np.ones(len(hashes), np.bool_)


def fitting_bits(hashes: NDArray[np.uint64], bits: int, *, most: int) -> int:
    """The least number of zero bits, from `bits` on, with which at most so many of the hashes [N] begin.

    It depends on the hashes alone, so a sample of a sample is that of the whole, whatever was added first.
    """
    while begins_with_zeros(hashes, bits).sum() > most:
        bits += 1
    return bits
