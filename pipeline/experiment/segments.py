"""Put shoppers into segments that were known before the experiment."""

from collections.abc import Callable
from pathlib import Path

import polars as pl

from components.contract.base_model import closest
from components.contract.errors import InputError
from components.experiment.experiment_file import Segments
from components.experiment.shoppers import Shoppers

MOST_VALUES = 10
MIN_SHOPPERS = 100
KNOWN = {"shopper=known": pl.col("known"), "shopper=new": ~pl.col("known")}
"""Always there: whether anything is logged of the shopper before the experiment."""


def add_segments(shoppers: Shoppers, segments: Segments | None, folder: Path) -> tuple[Shoppers, dict[str, pl.Expr]]:
    """Add the columns of a file to the table of shoppers, and return the conditions of all segments.

    A column's `MOST_VALUES` most frequent values with at least `MIN_SHOPPERS` shoppers are segments.

    Raises:
        InputError: the file can't be read, or lacks a column.
    """
    conditions = dict(KNOWN) if 0 < shoppers.table["known"].sum() < len(shoppers.table) else {}
    if segments is None:
        return shoppers, conditions
    columns = list(dict.fromkeys(segments.columns))
    named = {column: f"segment {column}" for column in columns}
    people = _read(folder / segments.file, segments.id, columns).rename(named)
    table = shoppers.table.join(people, on="user", how="left").sort("user")
    for column, name in named.items():
        frequent = table.filter(pl.col(name).is_not_null()).group_by(name).len().filter(pl.col("len") >= MIN_SHOPPERS)
        for value in sorted(frequent.sort("len", name, descending=[True, False]).head(MOST_VALUES)[name].to_list()):
            conditions[f"{column}={value}"] = pl.col(name) == value
    return Shoppers(table, shoppers.days, shoppers.in_two_arms, shoppers.by_arm_day), conditions


def _read(file: Path, id_column: str, columns: list[str]) -> pl.DataFrame:
    readers: dict[str, Callable[[Path], pl.LazyFrame]] = {".parquet": pl.scan_parquet, ".csv": pl.scan_csv, ".jsonl": pl.scan_ndjson}
    if file.suffix not in readers:
        raise InputError(f"segments: expected a file that ends in {', '.join(readers)}, got {file}")
    try:
        frame = readers[file.suffix](file)
        there = frame.collect_schema().names()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"segments: {file} can't be read: {str(error).splitlines()[0]}") from None
    for column in (id_column, *columns):
        if column not in there:
            raise InputError(f"segments: {file} has no column {column!r}; {closest(column, there)}")
    user = pl.col(id_column).cast(pl.String).hash().alias("user")
    return frame.select(user, pl.col(columns).cast(pl.String)).unique("user", keep="first", maintain_order=True).collect()
