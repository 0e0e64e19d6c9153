"""Read the tables of items and users that requests are joined with: each id once, or once for each time from which
its values hold."""

import io

import numpy as np
import polars as pl
from numpy.typing import NDArray

from components.contract.errors import InputError
from components.contract.features import GivenFeature, Number, Vector
from components.contract.sources import Table
from components.ingest.counts import Counts
from components.ingest.sources.timestamps import FIRST_US
from components.ingest.tables.table_rows import ID, REPEATED_IDS, TableRows, read_rows
from components.state.versions import FROM, Versions


def read_table(table: Table, features: tuple[GivenFeature, ...], data_root: str, counts: Counts) -> pl.DataFrame:
    """Read a table: its id as ID, and each feature's column under the feature's name. The last row of a repeated id
    counts.

    Where rows hold from a time on, an id has one for each such time, FROM, sorted by ID and FROM; of rows that hold
    from the same time the last counts, and those that repeat the values before them are left out. Of a table with a row
    for each property a row of the result has the last values of all of them.

    Raises:
        InputError: no file, a file that can't be read, no row, a missing column, one of another type, or a property
            without a row.
    """
    read = read_rows(table, features, data_root, counts)
    if not any(map(len, read.others)) and not any(len(part) for parts in read.parts.values() for part in parts):
        why = counts.summary()
        advice = f"kept none ({why})" if why else f"found none; is this the right data folder ({data_root})?"
        raise InputError(f"{table.path}: expected rows with an id in column {table.id!r}, {advice}")
    by = [ID] if table.valid_from is None else [ID, FROM]
    if table.property is not None:
        return _properties(read, features, by, counts)
    whole = pl.concat(read.parts[""])
    single = whole.unique(by, keep="last", maintain_order=True)
    counts.add(f"left out: {REPEATED_IDS}{' at one time' if table.valid_from else ''}", len(whole) - len(single))
    if table.valid_from is not None:
        kept = _changes(single.sort(by))
        counts.add("left out: rows that repeat the values before them", len(single) - len(kept))
        single = kept
    counts.add("rows kept", len(single))
    return single


def _properties(read: TableRows, features: tuple[GivenFeature, ...], by: list[str], counts: Counts) -> pl.DataFrame:
    """Pivot rows of single properties to rows of all features: at each time the last value of each, missing where
    there was none yet."""
    single = {}
    for key, parts in read.parts.items():
        whole = pl.concat(parts)
        single[key] = whole.unique(by, keep="last", maintain_order=True)
        counts.add("left out: earlier rows of a property that stands twice at one time", len(whole) - len(single[key]))
        counts.add("rows kept", len(single[key]))
    moments = pl.concat([part.select(by) for part in single.values()]).unique().sort(by) if single else None
    # An id of which no used property is known is one of the table all the same.
    others = pl.concat(read.others).unique().to_frame() if read.others else pl.DataFrame(schema={ID: pl.String})
    if moments is not None:
        others = others.join(moments, on=ID, how="anti")
    others = others.with_columns(pl.lit(FIRST_US, pl.Int64).alias(FROM)).select(by)
    rows = others if moments is None else pl.concat([moments, others]).sort(by)
    for part in single.values():
        rows = rows.join(part, on=by, how="left", maintain_order="left")
    if FROM in by:
        rows = rows.with_columns(pl.col(feature.name).forward_fill().over(ID) for feature in features)
    rows = rows.select(*by, *(pl.col(feature.name).fill_null(missing_value(feature)) for feature in features))
    return _changes(rows) if FROM in by else rows


def _changes(rows: pl.DataFrame) -> pl.DataFrame:
    """Drop rows, sorted by ID and FROM, that repeat the values of the row before them of the id: a price list is
    often sent whole."""
    # Compared as ids and numbers are written: a missing number equals a missing one.
    same = [pl.col(name).eq_missing(pl.col(name).shift(1)) for name, kind in rows.schema.items() if name != FROM and kind != pl.Array]
    for name, kind in rows.schema.items():
        if isinstance(kind, pl.Array):
            bits = rows[name].explode().to_numpy().view(np.uint32).reshape(-1, kind.size) if len(rows) else np.zeros((0, 1), np.uint32)
            same.append(pl.lit(pl.Series(np.concatenate([[False], (bits[1:] == bits[:-1]).all(axis=1)])[: len(rows)])))
    return rows.filter(~pl.all_horizontal(same).fill_null(value=False)) if len(rows) > 1 else rows


def to_parquet(table: pl.DataFrame) -> bytes:
    """Serialise a table as a Parquet file for the service."""
    out = io.BytesIO()
    table.write_parquet(out, compression="zstd", statistics=False)
    return out.getvalue()


def missing_value(feature: GivenFeature) -> pl.Expr:
    """Return the expression for a missing value of a feature."""
    if isinstance(feature, Number):
        return pl.lit(float("nan"), pl.Float32)
    if isinstance(feature, Vector):
        return pl.lit(pl.Series([[float("nan")] * feature.size], dtype=pl.Array(pl.Float32, feature.size)))
    return pl.lit("")


def join_features(ids: pl.Series, table: pl.DataFrame, features: tuple[GivenFeature, ...]) -> pl.DataFrame:
    """Look up the features of each id, missing values where the table lacks it; `known` says whether it has it."""
    known = table.select(ID, *(feature.name for feature in features)).with_columns(known=pl.lit(value=True))
    rows = pl.DataFrame({ID: ids}).join(known, on=ID, how="left", maintain_order="left")
    is_known = pl.col("known")
    values = (pl.when(is_known).then(pl.col(feature.name)).otherwise(missing_value(feature)).alias(feature.name) for feature in features)
    return rows.select(is_known.fill_null(value=False), *values)


def join_features_at(ids: pl.Series, times_us: NDArray[np.int64], table: pl.DataFrame, features: tuple[GivenFeature, ...]) -> pl.DataFrame:
    """Look up the features of each id at its time, in a table whose rows hold from a time on.

    `known` says whether the table has the id, `holds` whether one of its rows holds by then.
    """
    rows = rows_at(ids, times_us, table)
    values = table.select(feature.name for feature in features)
    blank = pl.select(missing_value(feature).alias(feature.name) for feature in features)
    joined = pl.concat([values, blank]).select(pl.all().gather(np.where(rows < 0, len(table), rows)))
    return pl.DataFrame({"known": ids.is_in(table[ID].implode()), "holds": rows >= 0}).hstack(joined)


def rows_at(ids: pl.Series, times_us: NDArray[np.int64], table: pl.DataFrame) -> NDArray[np.int64]:
    """Return (N,) the row of a table that holds for each id at its time; -1 where there is none.

    The table has ID and, where rows hold from a time on, FROM, and is sorted by them.
    """
    ids_frame = pl.DataFrame({ID: ids.alias(ID)})
    rows = table.select(ID, *({FROM} & set(table.columns))).with_row_index("row")
    # The part of a table that these ids have is small, and searched the quicker.
    rows = rows.join(ids_frame.unique(), on=ID, how="semi", maintain_order="left")
    keys = rows.select(pl.col(ID).rle_id().cast(pl.Int64)).to_series()
    first = rows.select(ID, key=keys).unique(ID, keep="first")
    key = ids_frame.join(first, on=ID, how="left", maintain_order="left")["key"].fill_null(-1).to_numpy()
    at = rows["row"].cast(pl.Int64).to_numpy()
    if FROM not in table.columns:
        return np.where(key < 0, -1, at[key]) if len(at) else key
    version = Versions(keys.to_numpy(), rows[FROM].to_numpy()).rows(key, times_us)
    return np.where(version < 0, -1, at[version]) if len(at) else version


def build_item_index(ids: pl.Series, table: pl.DataFrame | None, features: tuple[GivenFeature, ...]) -> pl.DataFrame:
    """Number the items of the log and of the catalogue, sorted by id: `item`, `known`, and the catalogue's features.

    A row's index is the item's code. Without a catalogue every item is known. Where the catalogue's rows hold from a
    time on, its features are in `components.ingest.tables.item_versions`.
    """
    if table is None:
        return pl.DataFrame({"item": ids.unique().sort()}).with_columns(known=pl.lit(value=True))
    everything = pl.concat([ids, table[ID]]).unique().sort()
    if FROM in table.columns:
        return pl.DataFrame({"item": everything, "known": everything.is_in(table[ID].implode())})
    return pl.DataFrame({"item": everything}).hstack(join_features(everything, table, features))
