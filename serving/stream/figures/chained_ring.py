"""Keep the newest rows in a ring of fixed size, and find them by hashes, as compressors find earlier text."""

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from components.state.jit import compiled

NONE = 0  # a hash that isn't indexed
Rows = NDArray[np.int64]  # (N,) the numbers of rows, counted from 1 in the order of arrival


@compiled
def _link(heads: Rows, following: Rows, hashes: Rows, first: int, mask: int) -> None:
    """Put rows before the others of their chain. Chains run from new to old rows."""
    for index in range(len(hashes)):
        if hashes[index] != 0:
            chain = hashes[index] & mask
            following[(first + index) & mask] = heads[chain]
            heads[chain] = first + index


@compiled
def _walk(heads: Rows, following: Rows, column: Rows, wanted: Rows, rows: Rows, bounds: tuple[int, int, int]) -> int:
    """Write the rows with one of these hashes, as far as `rows` has room; return how many there are."""
    oldest, mask, most = bounds
    count = 0
    for index in range(len(wanted)):
        row, matched = heads[wanted[index] & mask], 0
        while row >= oldest and matched < most:
            if column[row & mask] == wanted[index]:
                if count < len(rows):
                    rows[count] = row
                count += 1
                matched += 1
            row = following[row & mask]
    return count


@final
class ChainedRing:
    """Hold rows of equally long columns; beyond the capacity a new row replaces the oldest.

    The memory is `capacity` times the row's bytes, and the system gives it only as far as it is used.

    Args:
        capacity: a power of two.
        columns: by name, the type, or the type and the width of a column of vectors.
        chains: names of int64 columns by which rows are found.
        most: of the rows with one hash only the newest so many are found.
    """

    def __init__(
        self, capacity: int, columns: Mapping[str, DTypeLike | tuple[DTypeLike, int]], *, chains: Sequence[str], most: int = 1 << 30
    ) -> None:
        assert capacity.bit_count() == 1, capacity
        self._mask, self._most, self._chains = capacity - 1, most, tuple(chains)
        self._columns: dict[str, NDArray[Any]] = {
            name: np.zeros((capacity, kind[1]), kind[0]) if isinstance(kind, tuple) else np.zeros(capacity, kind)
            for name, kind in columns.items()
        }
        self._heads = {name: np.zeros(capacity, np.int64) for name in chains}
        self._following = {name: np.zeros(capacity, np.int64) for name in chains}
        self.end = 1  # the number of the next row

    @property
    def begin(self) -> int:
        """Return the number of the oldest row that is held."""
        return max(1, self.end - self._mask - 1)

    def append(self, **columns: NDArray[Any]) -> Rows:
        """Add rows, at most as many as the capacity, and return their numbers."""
        rows = np.arange(self.end, self.end + len(next(iter(columns.values()))), dtype=np.int64)
        assert len(rows) <= self._mask + 1, len(rows)
        for name, values in self._columns.items():
            values[rows & self._mask] = columns[name]
        for name in self._chains:
            hashes = np.ascontiguousarray(columns[name], np.int64)
            _link(self._heads[name], self._following[name], hashes, self.end, self._mask)
        self.end += len(rows)
        return rows

    def find(self, chain: str, hashes: NDArray[np.int64]) -> Rows:
        """Return the rows that have one of these hashes, in the order of arrival."""
        wanted = distinct(hashes)
        wanted = wanted[wanted != NONE]
        rows = np.empty(4 * len(wanted), np.int64)
        bounds = (self.begin, self._mask, self._most)
        index = (self._heads[chain], self._following[chain], self._columns[chain], wanted)
        count = _walk(*index, rows, bounds)
        if count > len(rows):
            rows = np.empty(count, np.int64)
            _walk(*index, rows, bounds)
        return np.sort(rows[:count])

    def held(self, rows: Rows) -> NDArray[np.bool_]:
        """Return which rows are held still."""
        return np.asarray(rows >= self.begin)

    def get(self, name: str, rows: Rows) -> NDArray[Any]:
        """Return a column's values of rows."""
        return np.asarray(self._columns[name][rows & self._mask])

    def set(self, name: str, rows: Rows, values: NDArray[Any] | float) -> None:
        """Change a column's values of rows; of a chain's column never."""
        self._columns[name][rows & self._mask] = values

    def add(self, name: str, rows: Rows, values: NDArray[Any] | float, *, column: NDArray[np.int64] | None = None) -> None:
        """Add to a column's values of rows, which may repeat; of a column of vectors to one element of each."""
        at = rows & self._mask
        np.add.at(self._columns[name], at if column is None else (at, column), values)

    def oldest(self, count: int) -> Rows:
        """Return the rows that adding so many will replace."""
        return np.arange(self.begin, max(self.begin, self.end + count - self._mask - 1), dtype=np.int64)


def distinct(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the distinct values, ascending; for whole numbers sorting is several times as fast as np.unique."""
    ordered = np.sort(values)
    first = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first]
