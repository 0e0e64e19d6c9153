"""Recognise rows that leave out the values of their group's first row, as an order's later lines do."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

_MOST_FILLED = 0.02  # share of the later rows
_LEAST_FIRST = 0.6  # share of the first rows: an order without a time is rare, one without a note isn't
_LEAST_ROWS = 20  # fewest later rows to decide


@dataclass(frozen=True)
class FillDown:
    """Columns that are filled only in the first row of each run of `within`."""

    within: str
    columns: tuple[str, ...]


def recognise_fill_down(columns: Mapping[str, pl.Series]) -> FillDown | None:
    """Find the column that groups rows, and the columns that a group's later rows leave out."""
    best: FillDown | None = None
    for name, values in columns.items():
        if values.null_count() or values.n_unique() < 5:
            continue
        further = values == values.shift(1)
        number = int(further.sum())
        if not _LEAST_ROWS <= number <= 0.9 * len(values):
            continue
        left_out = tuple(
            other
            for other, column in columns.items()
            if other != name
            and int((column.is_not_null() & further).sum()) <= _MOST_FILLED * number
            and int((column.is_not_null() & ~further).sum()) >= _LEAST_FIRST * (len(values) - number)
        )
        if left_out and (best is None or len(left_out) > len(best.columns)):
            best = FillDown(name, left_out)
    return best


def filled_down(columns: Mapping[str, pl.Series], fill: FillDown) -> dict[str, pl.Series]:
    """Fill down the columns within each run."""
    frame = pl.DataFrame(dict(columns)).with_columns(pl.col(fill.within).rle_id().alias("__run__"))
    return frame.with_columns(pl.col(name).forward_fill().over("__run__") for name in fill.columns).drop("__run__").to_dict()
