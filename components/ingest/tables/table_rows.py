"""Read rows of the tables (catalogue, users, identities): ids, the times from which they hold, and values typed by
their features."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import polars as pl

from components.contract.base_model import closest
from components.contract.errors import InputError
from components.contract.features import GivenFeature, Number
from components.contract.sources import Identities, Table
from components.ingest.counts import Counts
from components.ingest.events.source_columns import Absent, never_there, require_columns, table_columns
from components.ingest.formats.readers import frames
from components.ingest.sources.blocks import FILE, ROW, Block
from components.ingest.sources.feature_values import typed_values
from components.ingest.sources.files import file_format, matching, open_parquet
from components.ingest.sources.id_text import ids_of, text_of
from components.ingest.sources.raw_rows import column_location, located, opens_file
from components.ingest.sources.timestamps import times_us
from components.state.versions import FROM

ID = "__id__"
REPEATED_IDS = "earlier rows of an id that stands twice"
FILE_AT = "__file_at__"  # the position of a row's file among the table's
_MOST_NAMES = 10_000  # of properties that are remembered, to name the closest


@dataclass
class TableRows:
    """The rows of a table.

    `parts`: frames of ID, FROM where rows have one, and typed features, in the order of the files, by the property they
    are rows of ("" where a row has all features); with positions also FILE_AT, the file's, and ROW.
    `others`: ids of rows whose property no feature reads. `properties`: names of properties that occur.
    """

    parts: dict[str, list[pl.DataFrame]] = field(default_factory=dict)
    others: list[pl.Series] = field(default_factory=list)
    properties: set[str] = field(default_factory=set)


def table_blocks(table: Table | Identities, data_root: str) -> Iterator[Block]:
    """Yield the files of a table, each a block."""
    for order, path in enumerate(matching(table, data_root)):
        groups: tuple[int, ...] = ()
        if file_format(path, table.format) == "parquet":
            groups = tuple(range(open_parquet(path).metadata.num_row_groups))
            if not groups:  # A file without rows has none.
                continue
        yield Block(order, 0, path, order, 0, groups)


def read_rows(table: Table, features: tuple[GivenFeature, ...], data_root: str, counts: Counts, *, positions: bool = False) -> TableRows:
    """Read a table's rows; reject and count those without id or valid time.

    Args:
        table: the table.
        features: those that are read from it.
        data_root: the folder of relative paths.
        counts: gets what is read and rejected.
        positions: whether to keep each row's file and index.

    Raises:
        InputError: no file, a file that can't be read, a missing column, a column of another type, no time in a column
            of times, or no row of a property that a feature reads.
    """
    kept = (ID, FROM, FILE_AT, ROW) if positions else (ID, FROM)
    read, absent = TableRows(), list[Absent]()
    for block in table_blocks(table, data_root):
        selection = table_columns(table, features)
        for frame in frames(block, table, selection, counts):
            counts.add("rows read", len(frame))
            location = (pl.lit(block.order, pl.Int32).alias(FILE_AT), pl.col(located(frame)[-1]).alias(ROW))
            whole = frame.with_columns(location) if positions else frame
            if table.property is None:
                rows = with_ids(whole, table, counts)
                typed = typed_values(rows, features, counts)
                read.parts.setdefault("", []).append(_select(rows, kept).hstack(typed))
            else:
                _add_properties(read, whole, table, features, counts, kept)
        absent.append(selection.absent)
    require_columns(never_there(absent))
    lacking = sorted({feature.key for feature in features} - read.parts.keys()) if table.property and read.properties else []
    if lacking:
        raise InputError(
            f"{table.path}: expected rows of the property {lacking[0]!r} in column {table.property!r}, found none;"
            f" {closest(lacking[0], sorted(read.properties))}"
        )
    return read


def with_ids(frame: pl.DataFrame, table: Table | Identities, counts: Counts) -> pl.DataFrame:
    """Add ID and, where the table has times, FROM; reject and count rows that lack either."""
    frame = frame.with_columns(ids_of(frame[table.id], where=column_location(frame, frame[table.id])).alias(ID))
    frame = _kept(frame, frame[ID] != "", "no id", counts)
    if table.valid_from is None:
        return frame
    name = table.valid_from
    time = times_us(frame[name], table, where=f"{frame[FILE][0] if len(frame) else table.path}, column {name!r}")
    if opens_file(frame) and time.null_count() == len(frame):
        raise InputError(
            f"{frame[FILE][0]}: no time in column {name!r} can be parsed, the first is {frame[name][0]!r};"
            " expected ISO 8601 or numbers since 1970 (see `time_unit`)"
        )
    frame = frame.with_columns(time.alias(FROM))
    return _kept(frame, time.is_not_null(), f"the time in column {name!r} can't be parsed", counts)


def _select(frame: pl.DataFrame, names: tuple[str, ...]) -> pl.DataFrame:
    return frame.select(name for name in names if name in frame.columns)


def _kept(frame: pl.DataFrame, keep: pl.Series, reason: str, counts: Counts) -> pl.DataFrame:
    if keep.all():
        return frame
    counts.reject(reason, frame.filter(~keep).drop(ID, FROM, FILE_AT, strict=False))
    return frame.filter(keep)


def _add_properties(
    read: TableRows, frame: pl.DataFrame, table: Table, features: tuple[GivenFeature, ...], counts: Counts, kept: tuple[str, ...]
) -> None:
    assert table.property is not None
    assert table.value is not None
    names = text_of(frame[table.property])
    if len(read.properties) < _MOST_NAMES:
        read.properties.update(names.unique())
    # Most rows are of properties that no feature reads: only their ids are read.
    used = names.is_in(list({feature.key for feature in features}))
    others = frame.filter(~used)[table.id]
    ids = ids_of(others, where=column_location(frame, others)).unique()
    counts.add("left out: rows of properties that no feature reads", len(frame) - int(used.sum()))
    read.others.append(ids.filter(ids != "").alias(ID))
    rows = with_ids(frame.filter(used), table, counts)
    names = text_of(rows[table.property])
    for key in dict.fromkeys(feature.key for feature in features):
        own = rows.filter(names == key)
        if not len(own):
            continue
        typed = [_typed(own, feature, table, counts) for feature in features if feature.key == key]
        read.parts.setdefault(key, []).append(_select(own, kept).hstack(typed))


def _typed(rows: pl.DataFrame, feature: GivenFeature, table: Table, counts: Counts) -> pl.Series:
    assert table.value is not None
    if isinstance(feature, Number) and table.number_prefix:
        rows = rows.with_columns(text_of(rows[table.value]).str.strip_chars().str.strip_prefix(table.number_prefix))
    return typed_values(rows, (feature,), counts, column=table.value).to_series()
