"""The catalogue and the shoppers against the data."""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from components.contract.errors import InputError
from components.contract.features import GivenFeature
from components.contract.sources import Table
from components.ingest.counts import Counts
from components.ingest.feature_values import typed_values
from components.ingest.files import Block, file_format, matching, open_parquet
from components.ingest.id_text import text_of
from components.ingest.raw_rows import located
from components.ingest.reading import ROW, frames
from components.validate.check import EXAMPLES, Check, of_rows
from components.validate.place import place, shown
from components.validate.rows import counted, feature_reasons

_ID = "id"


@dataclass(frozen=True)
class TableFound:
    """What a table holds: its ids (None where it can't be read), and the checks on it."""

    ids: pl.Series | None
    checks: tuple[Check, ...]


def check_table(table: Table, features: tuple[GivenFeature, ...], data_root: str, *, what: str) -> TableFound:
    """Check a table; `what` is "items" or "users"."""
    columns = tuple(sorted({table.id, *(feature.key for feature in features)}))
    counts = Counts()
    parts: list[pl.DataFrame] = []
    empty = {feature.name: 0 for feature in features}
    try:
        paths = matching(table, data_root)
        for block in _blocks(table, paths):
            for frame in frames(block, table, columns, counts):
                counts.add("rows read", len(frame))
                values = typed_values(frame, features, counts)
                for feature in features:
                    empty[feature.name] += missing(values[feature.name])
                file = pl.lit(block.order).alias("file")
                parts.append(frame.select(text_of(frame[table.id]).alias(_ID), pl.col(located(frame)[-1]).alias(ROW), file))
    except InputError as error:
        return TableFound(None, (Check(f"{what}: can be read", "FAIL", "1 problem", (str(error),)),))
    rows = sum(map(len, parts))
    if not rows:
        return TableFound(None, (Check(f"{what}: can be read", "FAIL", "no rows", tuple(paths[:EXAMPLES])),))
    whole = pl.concat(parts)

    def examples(wrong: pl.DataFrame) -> list[str]:
        return [
            f"{place(paths[file], row, table.format)}: {shown({table.id: name})}" for name, row, file in wrong.head(EXAMPLES).iter_rows()
        ]

    nameless = whole.filter(pl.col(_ID) == "")
    named = whole.filter(pl.col(_ID) != "")
    again = named.filter(~pl.col(_ID).is_first_distinct())
    checks = (
        Check(f"{what}: can be read", "PASS", f"{rows:,} rows in {len(paths):,} {'file' if len(paths) == 1 else 'files'}"),
        of_rows(f"{what}: each has an id", len(nameless), rows, examples=examples(nameless)),
        of_rows(f"{what}: no id stands twice (the last row counts)", len(again), rows, examples=examples(again)),
        *counted(counts, feature_reasons(features), dict.fromkeys(paths, table.format), prefix=f"{what}: "),
        *empty_features(what, empty, rows),
    )
    return TableFound(named[_ID].unique(), checks)


def empty_features(what: str, empty: dict[str, int], rows: int) -> Iterator[Check]:
    """Features that have no value at all: another column is meant, or the file isn't filled."""
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
    """How many typed values are missing: NaN in numbers, "" in text, null in either."""
    if values.dtype.is_float():
        return int(values.is_nan().fill_null(value=True).sum())
    if values.dtype == pl.String:
        return int((values.fill_null("") == "").sum())
    return values.null_count()


def _blocks(table: Table, paths: list[str]) -> Iterator[Block]:
    for order, path in enumerate(paths):
        groups: tuple[int, ...] = ()
        if file_format(path, table.format) == "parquet":
            groups = tuple(range(open_parquet(path).metadata.num_row_groups))
        yield Block(order, 0, path, order, 0, groups)
