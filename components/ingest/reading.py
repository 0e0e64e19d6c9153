"""Blocks of a file as frames of raw columns, each row with its place in the file."""

import io
import json
from collections.abc import Iterator
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.csv as pacsv

from components.contract.errors import InputError
from components.contract.strict import closest
from components.ingest.counts import Counts
from components.ingest.files import BLOCK_ROWS, Block, file_format, open_parquet, open_text

FILE, ROW = "__file__", "__row__"  # where a row stands: path, and place among the file's rows from 0
CHUNK_BYTES = 64 << 20


def frames(block: Block, source: Any, columns: tuple[str, ...], counts: Counts) -> Iterator[pl.DataFrame]:
    """Read a block in frames of about half a million rows.

    Args:
        block: which part of which file.
        source: the `EventSource` or `Table` it belongs to.
        columns: those that are needed.
        counts: gets the rows of a CSV file that have too few or too many fields.

    Raises:
        InputError: the file can't be read, or lacks a column.
    """
    match file_format(block.path, source.format):
        case "parquet":
            parts = _parquet(block, columns)
        case "csv":
            parts = _csv(block, source.separator, columns, counts)
        case _:
            parts = _jsonl(block, columns)
    row = block.first_row
    for part in parts:
        place = pl.int_range(row, row + len(part), dtype=pl.Int64, eager=True)
        yield part.with_columns(place.alias(ROW), pl.lit(block.path).alias(FILE), *_plain(part, block.path))
        row += len(part)


def check_columns(path: str, there: list[str], needed: tuple[str, ...]) -> None:
    """Raise InputError for the first needed column that isn't there."""
    for name in needed:
        if name not in there:
            raise InputError(f"{path}: expected a column {name!r}, which isn't there; {closest(name, there)}")


def _plain(frame: pl.DataFrame, path: str) -> Iterator[pl.Series]:
    """Columns that are text in another coat: dictionaries, bytes, and columns of nothing but nulls."""
    for column in frame.iter_columns():
        if isinstance(column.dtype, pl.Categorical | pl.Enum | pl.Binary | pl.Null):
            try:
                yield column.cast(pl.String)
            except pl.exceptions.PolarsError as error:
                raise InputError(f"{path}: column {column.name!r} is neither text nor numbers: {error}") from None


def _parquet(block: Block, columns: tuple[str, ...]) -> Iterator[pl.DataFrame]:
    file = open_parquet(block.path)
    check_columns(block.path, file.schema_arrow.names, columns)
    try:
        for batch in file.iter_batches(BLOCK_ROWS, row_groups=list(block.row_groups) or None, columns=list(columns)):
            yield pl.DataFrame(pl.from_arrow(batch))
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{block.path}: can't be read as Parquet from row {block.first_row:,} on: {error}; is the file whole?") from None


def _csv(block: Block, separator: str, columns: tuple[str, ...], counts: Counts) -> Iterator[pl.DataFrame]:
    def uneven(row: Any) -> str:
        counts.add("rows read", 1)
        counts.reject(
            "a CSV row has too few or too many fields",
            pl.DataFrame(
                {FILE: [block.path], "line": [str(row.number or "?")], "expected": [str(row.expected_columns)], "got": [row.text]}
            ),
        )
        return "skip"

    delimiter = "\t" if ".tsv" in block.path.rpartition("/")[2] else separator
    # One thread: only so does Arrow tell the number of a row that it can't parse.
    read = pacsv.ReadOptions(block_size=CHUNK_BYTES, use_threads=False)
    parse = pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=uneven)
    # What isn't read isn't parsed either, so that it can't be wrong.
    convert = pacsv.ConvertOptions(
        column_types=dict.fromkeys(columns, pa.string()), include_columns=columns, null_values=[""], strings_can_be_null=True
    )
    try:
        with open_text(block.path) as stream:
            for batch in pacsv.open_csv(stream, read_options=read, parse_options=parse, convert_options=convert):
                yield pl.DataFrame(pl.from_arrow(batch))
    except pa.ArrowKeyError:
        check_columns(block.path, _header(block.path, delimiter), columns)
    except (pa.ArrowException, OSError, EOFError) as error:
        if "Empty CSV file" not in str(error):
            raise InputError(f"{block.path}: can't be read as CSV: {error}") from None


def _header(path: str, delimiter: str) -> list[str]:
    parse = pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=lambda _: "skip")
    with open_text(path) as stream:
        return list(pacsv.open_csv(stream, parse_options=parse).schema.names)


def _jsonl(block: Block, columns: tuple[str, ...]) -> Iterator[pl.DataFrame]:
    line, seen, rest = 1, set[str](), b""
    with open_text(block.path) as stream:
        while True:
            try:
                chunk = stream.read(CHUNK_BYTES)
            except (OSError, EOFError) as error:
                raise InputError(f"{block.path}: can't be read after line {line - 1}: {error}; is the file whole?") from None
            lines, _, rest = (rest + chunk).rpartition(b"\n") if chunk else (rest, b"", b"")
            if lines:
                frame = _json_lines(block.path, lines, line)
                seen |= set(frame.columns)
                line += lines.count(b"\n") + 1
                # A chunk may lack a column because its rows leave it out.
                missing = [pl.lit(None).alias(name) for name in columns if name not in frame.columns]
                yield frame.with_columns(missing).select(columns)
            if not chunk:
                break
    if line > 1:
        check_columns(block.path, sorted(seen), columns)


def _json_lines(path: str, lines: bytes, first_line: int) -> pl.DataFrame:
    try:
        return pl.read_ndjson(io.BytesIO(lines), infer_schema_length=None)
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        for at, line in enumerate(lines.split(b"\n"), first_line):
            try:
                fits = isinstance(json.loads(line), dict)
            except ValueError:
                fits = False
            if not fits:
                raise InputError(f"{path}, line {at}: expected one JSON object, got {line[:80].decode(errors='replace')!r}") from None
        raise InputError(f"{path}: can't be read as JSON Lines near line {first_line}: {error}") from None
