"""Synthetic windows: columns of shoppers whose rows depend on each other."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from components.drift.sketch.window_sketch import ColumnValues, RequestBlock, WindowSketch

DAY_US = 86_400_000_000
Make = Callable[[np.random.Generator, int], Any]  # rows -> values


def window(make: Mapping[str, Make], *, seed: int, days: range, rows: int = 4_000, shoppers: int = 400) -> WindowSketch:
    """Sketch rows of one request each, spread over days and shoppers."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**63, shoppers).astype(np.uint64)
    times_us = rng.integers(days.start * DAY_US, days.stop * DAY_US, rows)
    columns = [ColumnValues(name, values(rng, rows), np.arange(rows)) for name, values in make.items()]
    sketch = WindowSketch()
    sketch.add(RequestBlock(hashes[rng.integers(0, shoppers, rows)], times_us, columns))
    return sketch


def lognormal(factor: float = 1.0, missing: float = 0.0) -> Make:
    def values(rng: np.random.Generator, rows: int) -> Any:
        drawn = np.exp(rng.normal(size=rows)) * factor
        return np.where(rng.random(rows) < missing, np.nan, drawn).astype(np.float32)

    return values


def choice(shares: Mapping[str, float]) -> Make:
    def values(rng: np.random.Generator, rows: int) -> Any:
        return pa.array(rng.choice(list(shares), rows, p=list(shares.values())))

    return values
