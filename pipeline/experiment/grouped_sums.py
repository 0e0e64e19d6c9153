"""Add up tables by keys as they come, in memory that is bounded by the number of keys."""

from collections.abc import Sequence
from typing import final

import polars as pl

_PENDING_ROWS = 2_000_000


@final
class GroupedSums:
    """Sums and minima by key of all tables that were added.

    Args:
        keys: columns.
        sums: columns that are added up.
        minima: columns whose least value is kept.
    """

    def __init__(self, keys: Sequence[str], *, sums: Sequence[str] = (), minima: Sequence[str] = ()) -> None:
        self._keys = list(keys)
        self._columns = [pl.col(name).sum() for name in sums] + [pl.col(name).min() for name in minima]
        self._tables: list[pl.DataFrame] = []
        self._pending = self._merged = 0

    def add(self, table: pl.DataFrame) -> None:
        """Add a table with the columns of the keys, the sums and the minima."""
        if len(table):
            self._tables.append(self._grouped(table))
            self._pending += len(self._tables[-1])
            if self._pending > max(_PENDING_ROWS, self._merged):
                self._compact()

    def result(self) -> pl.DataFrame | None:
        """Return one row a key, sorted by key; None if nothing was added."""
        if not self._tables:
            return None
        self._compact()
        return self._tables[0].sort(self._keys)

    def _compact(self) -> None:
        self._tables = [self._grouped(pl.concat(self._tables))]
        self._merged, self._pending = len(self._tables[0]), 0

    def _grouped(self, table: pl.DataFrame) -> pl.DataFrame:
        return table.group_by(self._keys).agg(self._columns) if self._columns else table.select(self._keys).unique()


def number_by_user(pairs: GroupedSums, name: str) -> pl.DataFrame:
    """Return how many different pairs (user, other key) there are by user, as a column `name`."""
    table = pairs.result()
    if table is None:
        return pl.DataFrame(schema={"user": pl.UInt64, name: pl.UInt32})
    return table.group_by("user").agg(pl.len().alias(name))
