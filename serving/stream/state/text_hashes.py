"""Hash texts and numbers of many rows to 64 bits, the same in every process and version: what is persisted as an id."""

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from components.contract.values.splitmix import GOLDEN, mixed
from components.state.jit import compiled

Hashes = NDArray[np.uint64]
_FNV_OFFSET, _FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # FNV-1a of 64 bits


def row_hashes(columns: list[pl.Series]) -> Hashes:
    """Return (N,) the hash of each row, whatever the number of rows beside it.

    Columns of lists and fixed-size vectors aren't hashed: no log repeats a row but for its vector.
    """
    hashes = np.zeros(len(columns[0]) if columns else 0, np.uint64)
    for column in columns:
        if not column.dtype.is_nested():
            hashes = mixed(hashes * np.uint64(0x2545F4914F6CDD1D) + GOLDEN + column_hashes(column))
    return hashes


def column_hashes(values: pl.Series) -> Hashes:
    """Return (N,) the hash of each value; a missing one has that of a value which no text or number has."""
    if values.dtype == pl.String:
        texts = values.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_string())
        _, offsets, data = texts.buffers()
        ends = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
        hashes = np.empty(len(texts), np.uint64)
        _fnv(np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(1, np.uint8), ends, hashes)
        hashes = mixed(hashes)
    elif values.dtype.is_float():
        hashes = mixed(values.cast(pl.Float64).fill_null(float("nan")).to_numpy().view(np.uint64))
    else:
        hashes = mixed(values.cast(pl.Int64).fill_null(0).to_numpy().view(np.uint64))
    missing = values.is_null()
    return np.where(missing.to_numpy(), GOLDEN, hashes) if missing.any() else hashes


@compiled
def _fnv(data: NDArray[np.uint8], ends: NDArray[np.int64], out: Hashes) -> None:
    for row in range(out.shape[0]):
        value = _FNV_OFFSET
        for at in range(ends[row], ends[row + 1]):
            value = (value ^ np.uint64(data[at])) * _FNV_PRIME
        out[row] = value
