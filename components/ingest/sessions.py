"""Runs of a shopper's events without a long pause."""

import hashlib

import numpy as np
import polars as pl
from numpy.typing import NDArray


def session_hashes(ids: pl.Series) -> NDArray[np.int64]:
    """A stable 64-bit hash of each session's id; 0 for "" (not given)."""
    distinct = ids.unique()
    hashes = pl.DataFrame({"id": distinct, "hash": pl.Series([session_hash(name) if name else 0 for name in distinct], dtype=pl.Int64)})
    return pl.DataFrame({"id": ids}).join(hashes, on="id", how="left", maintain_order="left")["hash"].to_numpy()


def session_hash(name: str) -> int:
    """The same for one id, as the service takes it. Never 0."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True) or 1
