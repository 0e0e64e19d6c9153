"""Runs of a shopper's events without a long pause."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.state.keys import session_hash


def session_hashes(ids: pl.Series) -> NDArray[np.int64]:
    """A stable 64-bit hash of each session's id; 0 for "" (not given)."""
    distinct = ids.unique()
    hashes = pl.DataFrame({"id": distinct, "hash": pl.Series([session_hash(name) if name else 0 for name in distinct], dtype=pl.Int64)})
    return pl.DataFrame({"id": ids}).join(hashes, on="id", how="left", maintain_order="left")["hash"].to_numpy()
