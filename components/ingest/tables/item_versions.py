"""Look up item values that change with time: the row of the catalogue that holds for an item at a request."""

from typing import final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.contract.features import GivenFeature
from components.ingest.tables.catalogue import missing_value
from components.ingest.tables.table_rows import ID
from components.state.versions import FROM, Versions

CODE = "__code__"

Ints = NDArray[np.int64]


def version_rows(items: pl.Series, table: pl.DataFrame, features: tuple[GivenFeature, ...]) -> pl.DataFrame:
    """Sort the catalogue's rows by item and time: the item's code as CODE, FROM, features. The last row holds missing
    values.

    Args:
        items: the ids by code, sorted.
        table: the catalogue, sorted by ID and FROM.
        features: its features.
    """
    codes = pl.DataFrame({ID: items, CODE: np.arange(len(items))})
    names = [feature.name for feature in features]
    rows = table.join(codes, on=ID, how="left", maintain_order="left").select(CODE, FROM, *names)
    nothing = (missing_value(feature).alias(feature.name) for feature in features)
    return pl.concat([rows, pl.select(pl.lit(len(items), pl.Int64).alias(CODE), pl.lit(0, pl.Int64).alias(FROM), *nothing)])


@final
class ItemVersions:
    """Look up `version_rows`. `missing` is the row of missing values."""

    def __init__(self, rows: pl.DataFrame) -> None:
        self._versions = Versions(rows[CODE].to_numpy(), rows[FROM].to_numpy())
        self._columns = rows.drop(CODE, FROM)
        self.missing = len(rows) - 1

    def at(self, codes: Ints, times_us: Ints) -> Ints:
        """Return (N,) the row that holds for each item at its time."""
        rows = self._versions.rows(codes, times_us)
        return np.where(rows < 0, self.missing, rows)

    def values(self, at: Ints) -> dict[str, tuple[pl.Series, Ints]]:
        """Return for each feature a pool, and the rows of it."""
        return {column.name: (column, at) for column in self._columns.iter_columns()}
