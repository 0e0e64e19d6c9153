"""Items and users: the tables that requests are joined with, each id once."""

import io
from collections.abc import Iterator

import polars as pl

from components.contract.errors import InputError
from components.contract.features import GivenFeature, Number, Vector
from components.contract.sources import Table
from components.ingest.counts import Counts
from components.ingest.feature_values import typed_values
from components.ingest.files import Block, file_format, matching, open_parquet
from components.ingest.id_text import text_of
from components.ingest.reading import frames
from components.ingest.source_columns import Absent, never_there, require_columns, table_columns

ID = "__id__"


def read_table(table: Table, features: tuple[GivenFeature, ...], data_root: str, counts: Counts) -> pl.DataFrame:
    """Read a table: its id as ID, and each feature's column under the feature's name. Of an id that stands twice the last row counts.

    Raises:
        InputError: no file, a file that can't be read, no row, a missing column, or one of another type.
    """
    parts, absent = [], list[Absent]()
    for block in table_blocks(table, matching(table, data_root)):
        wanted = table_columns(table, features)
        for frame in frames(block, table, wanted, counts):
            counts.add("rows read", len(frame))
            values = pl.DataFrame([text_of(frame[table.id]).alias(ID), *typed_values(frame, features, counts).iter_columns()])
            nameless = values[ID] == ""
            if nameless.any():
                counts.reject("no id", frame.filter(nameless))
            parts.append(values.filter(~nameless))
        absent.append(wanted.absent)
    require_columns(never_there(absent))
    if not any(len(part) for part in parts):
        why = counts.told()
        advice = f"kept none ({why})" if why else f"found none; is this the right data folder ({data_root})?"
        raise InputError(f"{table.path}: expected rows with an id in column {table.id!r}, {advice}")
    whole = pl.concat(parts)
    single = whole.unique(ID, keep="last", maintain_order=True)
    counts.add("left out: earlier rows of an id that stands twice", len(whole) - len(single))
    counts.add("rows kept", len(single))
    return single


def as_parquet(table: pl.DataFrame) -> bytes:
    """A table as a file that the service reads."""
    out = io.BytesIO()
    table.write_parquet(out, compression="zstd", statistics=False)
    return out.getvalue()


def missing_value(feature: GivenFeature) -> pl.Expr:
    """What stands for a value that isn't there."""
    if isinstance(feature, Number):
        return pl.lit(float("nan"), pl.Float32)
    if isinstance(feature, Vector):
        return pl.lit(pl.Series([[float("nan")] * feature.size], dtype=pl.Array(pl.Float32, feature.size)))
    return pl.lit("")


def joined(ids: pl.Series, table: pl.DataFrame, features: tuple[GivenFeature, ...]) -> pl.DataFrame:
    """The features' columns for each id, missing values where the table lacks it; `known` says which."""
    given = table.select(ID, *(feature.name for feature in features)).with_columns(known=pl.lit(value=True))
    found = pl.DataFrame({ID: ids}).join(given, on=ID, how="left", maintain_order="left")
    there = pl.col("known")
    values = (pl.when(there).then(pl.col(feature.name)).otherwise(missing_value(feature)).alias(feature.name) for feature in features)
    return found.select(there.fill_null(value=False), *values)


def item_index(ids: pl.Series, table: pl.DataFrame | None, features: tuple[GivenFeature, ...]) -> pl.DataFrame:
    """The items of the log and of the catalogue, sorted by id: `item`, `known`, and the catalogue's features.

    A row's place is the item's code. Without a catalogue every item is known.
    """
    if table is None:
        return pl.DataFrame({"item": ids.unique().sort()}).with_columns(known=pl.lit(value=True))
    everything = pl.concat([ids, table[ID]]).unique().sort()
    return pl.DataFrame({"item": everything}).hstack(joined(everything, table, features))


def table_blocks(table: Table, paths: list[str]) -> Iterator[Block]:
    """A table's files, each as one block."""
    for order, path in enumerate(paths):
        groups: tuple[int, ...] = ()
        if file_format(path, table.format) == "parquet":
            groups = tuple(range(open_parquet(path).metadata.num_row_groups))
        yield Block(order, 0, path, order, 0, groups)
