"""Hash ids to 64 bits, the same on every machine and in every run, and sample by hash."""

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def hashed(ids: "pa.Array[Any]") -> NDArray[np.uint64]:
    """Hash ids [N] to 8 bytes of BLAKE2b; an id is a text, bytes or a whole number, and a missing one is ""."""
    encoded = ids.dictionary_encode("encode")
    of_distinct = np.array([hash_id(value) for value in encoded.dictionary.to_pylist()], np.uint64)
    hashes: NDArray[np.uint64] = of_distinct[encoded.indices.to_numpy(zero_copy_only=False)]
    return hashes


def hash_id(value: bytes | str | int | None) -> int:
    """Hash one id as `hashed` does."""
    text = value if isinstance(value, bytes) else b"" if value is None else str(value).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def is_sampled(hashes: NDArray[np.uint64], bits: int) -> NDArray[np.bool_]:
    """Return whether each hash [N] is in the sample: it begins with `bits` zero bits, as 1 in 2^bits do."""
    return hashes < np.uint64(2 ** (64 - bits)) if bits else np.ones(len(hashes), np.bool_)


def sampling_bits(hashes: NDArray[np.uint64], bits: int, *, most: int) -> int:
    """Return the least number of zero bits, from `bits` on, at which at most `most` of the hashes [N] are sampled.

    It depends on the hashes alone, so a sample of samples is that of the whole, in whatever order they are added.
    """
    while is_sampled(hashes, bits).sum() > most:
        bits += 1
    return bits
