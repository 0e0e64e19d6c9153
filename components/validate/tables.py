"""Check the catalogue, the users and their second ids against the data."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from components.contract.errors import InputError
from components.contract.features import GivenFeature
from components.contract.sources import Identities, Table
from components.ingest.counts import Counts
from components.ingest.sources.blocks import ROW
from components.ingest.sources.files import matching
from components.ingest.tables.second_ids import USER, read_identity_rows, two_users
from components.ingest.tables.table_rows import FILE_AT, ID, TableRows, read_rows
from components.state.versions import FROM
from components.validate.check import EXAMPLES, Check, of_rows
from components.validate.row_location import format_values, locate
from components.validate.rows import Reason, counted, feature_reasons, number_columns


@dataclass(frozen=True)
class TableCheck:
    """A table's ids (None where it can't be read), the checks on it, and the time from which it has each id.

    `first`: ID and FROM, the time of its first row; None where rows always hold. `identities`: of second ids, the table
    itself.
    """

    ids: pl.Series | None
    checks: tuple[Check, ...]
    first: pl.DataFrame | None = None
    identities: pl.DataFrame | None = None


def check_table(table: Table, features: tuple[GivenFeature, ...], data_root: str, *, what: str, now_us: int) -> TableCheck:
    """Check a table; `what` is "items" or "users"."""
    counts = Counts()
    try:
        paths = matching(table, data_root)
        read = read_rows(table, features, data_root, counts, positions=True)
    except InputError as error:
        return TableCheck(None, (Check(f"{what}: can be read", "FAIL", "1 problem", (str(error),)),))
    rows = counts.numbers.get("rows read", 0)
    if not rows:
        return TableCheck(None, (Check(f"{what}: can be read", "FAIL", "no rows", tuple(paths[:EXAMPLES])),))
    frames = [frame for parts in read.parts.values() for frame in parts]
    ids = pl.concat([*(frame[ID] for frame in frames), *read.others]).unique()
    first = _first(frames) if table.valid_from is not None else None
    checks = (
        Check(f"{what}: can be read", "PASS", f"{rows:,} rows in {len(paths):,} {'file' if len(paths) == 1 else 'files'}"),
        *counted(counts, table_reasons(table, features), dict.fromkeys(paths, table), prefix=f"{what}: ", numbers=number_columns(features)),
        _repeated(table, read, paths, rows, what),
        *empty_features(what, *_empty(read, features)),
        *([] if first is None else _future(first, now_us, what)),
    )
    return TableCheck(ids, checks, first)


def check_identities(table: Identities, data_root: str) -> TableCheck:
    """Check the table of second ids."""
    counts, what = Counts(), "identities"
    try:
        paths = matching(table, data_root)
        read = read_identity_rows(table, data_root, counts)
    except InputError as error:
        return TableCheck(None, (Check(f"{what}: can be read", "FAIL", "1 problem", (str(error),)),))
    rows = counts.numbers["rows read"]
    by = [ID] if table.valid_from is None else [ID, FROM]
    twice = two_users(read, by)
    examples = [f"{table.id} = {name}: {', '.join(users[:EXAMPLES])}" for name, users in twice.select(ID, USER).iter_rows()]
    chained = read.filter((pl.col(ID) != pl.col(USER)) & pl.col(USER).is_in(read[ID].implode()))
    chains = [f"{name} stands for {user}, which stands for another" for name, user in chained.select(ID, USER).head(EXAMPLES).iter_rows()]
    ids = read[ID].n_unique()
    when = "" if table.valid_from is None else " at one time (the last row counts)"
    checks = (
        Check(f"{what}: can be read", "PASS", f"{rows:,} rows in {len(paths):,} {'file' if len(paths) == 1 else 'files'}"),
        *counted(counts, identity_reasons(table), dict.fromkeys(paths, table), prefix=f"{what}: "),
        of_rows(f"{what}: no id has two users{when}", len(twice), ids, examples=examples, noun="ids", fail_share=0 if not when else 1),
        of_rows(f"{what}: no user is a second id itself (one step is taken)", len(chained), rows, examples=chains, fail_share=1),
    )
    return TableCheck(read[ID].unique(), checks, identities=read.unique(by, keep="last", maintain_order=True).sort(by))


def table_reasons(table: Table, features: tuple[GivenFeature, ...]) -> Iterator[Reason]:
    """Yield the reasons to check in the rows of a table."""
    yield Reason("each has an id", "no id")
    if table.valid_from is not None:
        yield Reason("rows have a time from which they hold", "can't be parsed", (table.id, table.valid_from))
    yield from feature_reasons(features, column=table.value)


def identity_reasons(table: Identities) -> Iterator[Reason]:
    """Yield the reasons to check in the rows of second ids."""
    yield Reason("each has an id", "no id")
    yield Reason("each has a user", "no user", (table.id,))
    if table.valid_from is not None:
        yield Reason("rows have a time from which they hold", "can't be parsed", (table.id, table.valid_from))


def _repeated(table: Table, read: TableRows, paths: Sequence[str], rows: int, what: str) -> Check:
    """Check for repeated ids, for the same time and property where rows have such.

    In a table with times a row that repeats the first of its time is no flaw: where the events are the
    catalogue, two users may look at a product in one second.
    """
    by = [ID] if table.valid_from is None else [ID, FROM]
    again = 0
    examples: list[str] = []
    for name, parts in read.parts.items():
        whole = pl.concat([part.select(*(by if table.valid_from is None else _plain_columns(part)), FILE_AT, ROW) for part in parts])
        if table.valid_from is not None:
            whole = whole.filter(whole.select(pl.struct(pl.exclude(FILE_AT, ROW)).is_first_distinct()).to_series())
        twice = whole.filter(~whole.select(pl.struct(by).is_first_distinct()).to_series())
        again += len(twice)
        for who, file, row in twice.select(ID, FILE_AT, ROW).head(EXAMPLES - len(examples)).iter_rows():
            values = {table.id: who} | ({table.property: name} if table.property else {})
            examples.append(f"{locate(paths[file], row, table)}: {format_values(values)}")
    noun = "property of an id" if table.property else "id"
    when = " at one time" if table.valid_from else ""
    return of_rows(f"{what}: no {noun} stands twice{when} (the last row counts)", again, rows, examples=examples)


def _plain_columns(rows: pl.DataFrame) -> list[str]:
    return [name for name, kind in rows.schema.items() if name not in (FILE_AT, ROW) and not kind.is_nested()]


def _empty(read: TableRows, features: tuple[GivenFeature, ...]) -> tuple[dict[str, int], int]:
    """Return for each feature how many rows lack its value, and of how many; in a table with a row for each
    property, of as many of its own."""
    frames = [frame for parts in read.parts.values() for frame in parts]
    if "" in read.parts or not frames:
        return {each.name: sum(missing(frame[each.name]) for frame in frames) for each in features}, sum(map(len, frames))
    most = max(sum(map(len, parts)) for parts in read.parts.values())
    empty = {}
    for feature in features:
        own = read.parts.get(feature.key, [])
        empty[feature.name] = most - sum(len(frame) - missing(frame[feature.name]) for frame in own)
    return empty, most


def _first(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Return the time from which the table has each id; ids with only unread properties have none."""
    if not frames:
        return pl.DataFrame(schema={ID: pl.String, FROM: pl.Int64})
    return pl.concat([frame.select(ID, FROM) for frame in frames]).group_by(ID).agg(pl.col(FROM).min()).sort(ID)


def _future(first: pl.DataFrame, now_us: int, what: str) -> Iterator[Check]:
    late = first.filter(pl.col(FROM) > now_us)
    examples = [f"id = {name}" for name in late[ID].head(EXAMPLES)]
    yield of_rows(f"{what}: have a row that holds by now", len(late), len(first), examples=examples, noun="ids", fail_share=0.5)


def empty_features(what: str, empty: dict[str, int], rows: int) -> Iterator[Check]:
    """Check for features that have no value at all: another column is meant, or the file isn't filled."""
    nowhere = [name for name, missing_rows in empty.items() if rows and missing_rows == rows]
    if nowhere:
        yield Check(f"{what}: features with values", "WARN", f"never a value: {', '.join(nowhere)}")
    elif empty and rows:
        name, most = max(empty.items(), key=lambda entry: entry[1])
        yield Check(
            f"{what}: features with values",
            "PASS",
            f"{len(empty)} {'feature' if len(empty) == 1 else 'features'}; emptiest: {name}, {100 * most / rows:.2g} % missing",
        )


def missing(values: pl.Series) -> int:
    """Count the missing values: NaN in numbers, "" in text, null in either."""
    if values.dtype.is_float():
        return int(values.is_nan().fill_null(value=True).sum())
    if values.dtype == pl.String:
        return int((values.fill_null("") == "").sum())
    return values.null_count()
