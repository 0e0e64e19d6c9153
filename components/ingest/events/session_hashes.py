"""Hash the session ids of many events, as the reducer takes them."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.state.keys import session_hash


def session_hashes(ids: pl.Series) -> NDArray[np.int64]:
    """Return a stable 64-bit hash of each session's id; 0 for "" (none)."""
    distinct = ids.unique()
    hashes = pl.DataFrame({"id": distinct, "hash": pl.Series([session_hash(name) if name else 0 for name in distinct], dtype=pl.Int64)})
    return pl.DataFrame({"id": ids}).join(hashes, on="id", how="left", maintain_order="left")["hash"].to_numpy()
