"""Find the version of a key's values that holds at a moment: one search for ingestion and the service."""

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
FROM = "__from__"  # the column of the times from which a table's rows hold, microseconds since 1970


@final
class Versions:
    """V versions: each holds from its time on, that microsecond included, until the next one of the same key.

    Both orders, by key and by time, become one ascending number: key * (distinct times + 1) + rank of the time. So one
    binary search over all versions answers all queries.

    Args:
        keys: (V,) whole numbers from 0 on, ascending.
        from_us: (V,) ascending within a key, each once.
    """

    def __init__(self, keys: Ints, from_us: Ints) -> None:
        self._keys = keys
        self._times, ranks = np.unique(from_us, return_inverse=True)
        self._step = len(self._times) + 1
        self._order = keys * self._step + (ranks + 1)

    def rows(self, keys: Ints, times_us: Any) -> Ints:
        """Return (N,) the version of each key at its time; -1 where none holds yet, or the key has none."""
        if not len(self._keys):
            return np.full(len(keys), -1, np.int64)
        queries = keys * self._step + np.searchsorted(self._times, times_us, side="right")
        last = np.searchsorted(self._order, queries, side="right") - 1
        return np.where((last >= 0) & (self._keys[last] == keys), last, -1)

    def period(self, time_us: int) -> int:
        """Count the times up to this one at which a version begins: while it is equal, so is every key's version."""
        return int(np.searchsorted(self._times, time_us, side="right"))
