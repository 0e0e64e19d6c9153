"""Blocks of a file as frames of raw columns, each row with its place in the file."""

import csv
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv as pacsv

from components.contract.errors import InputError
from components.ingest.counts import SAMPLES, Counts
from components.ingest.files import BLOCK_ROWS, Block, check_columns, file_format, open_parquet, open_text
from components.ingest.json_lines import EMPTY_ARRAY, json_frames
from components.ingest.struct_paths import struct_paths, taken

FILE, ROW = "__file__", "__row__"  # where a row stands: path, and place among the file's rows from 0
CHUNK_BYTES = 64 << 20
HEADER_BYTES = 1 << 20  # more than the names of columns take


def frames(block: Block, source: Any, columns: tuple[str, ...], counts: Counts) -> Iterator[pl.DataFrame]:
    """Read a block in frames of about half a million rows.

    Args:
        block: which part of which file.
        source: the `EventSource` or `Table` it belongs to.
        columns: those that are needed.
        counts: gets the rows of a CSV file that have too few or too many fields, and the lines that a quote joins.

    Raises:
        InputError: the file can't be read, lacks a column, or has structures in one.
    """
    match file_format(block.path, source.format):
        case "parquet":
            first = block.first_row if source.unnest is None else block.first_unnested
            parts = _numbered(_parquet(block, columns, source.unnest, counts), first)
        case "csv":
            parts = _csv(block, source.separator, columns, counts)
        case _:
            lines = json_frames(block.path, columns, unnest=source.unnest, chunk_bytes=CHUNK_BYTES, counts=counts)
            parts = _numbered(lines, 0)
    for part in parts:
        yield part.with_columns(pl.lit(block.path).alias(FILE), *_plain(part, block.path))


def _numbered(parts: Iterator[pl.DataFrame], row: int) -> Iterator[pl.DataFrame]:
    for part in parts:
        yield part.with_columns(pl.int_range(row, row + len(part), dtype=pl.Int64, eager=True).alias(ROW))
        row += len(part)


def _plain(frame: pl.DataFrame, path: str) -> Iterator[pl.Series]:
    """Columns that are text in another coat: dictionaries, bytes, and columns of nothing but nulls."""
    for column in frame.iter_columns():
        kind = column.dtype.inner if isinstance(column.dtype, pl.List | pl.Array) else column.dtype
        if kind.is_nested() or kind == pl.Duration:
            raise InputError(
                f"{path}: expected text, numbers, times or lists of them in column {column.name!r}, got {column.dtype};"
                f" name a value within it by its path, such as {column.name}.KEY, or flatten it first"
            )
        if isinstance(column.dtype, pl.Categorical | pl.Enum | pl.Binary | pl.Null):
            try:
                yield column.cast(pl.String)
            except pl.exceptions.PolarsError as error:
                raise InputError(f"{path}: column {column.name!r} is neither text nor numbers: {error}") from None


def _parquet(block: Block, columns: tuple[str, ...], unnest: str | None, counts: Counts) -> Iterator[pl.DataFrame]:
    file = open_parquet(block.path)
    paths = struct_paths(block.path, file.schema_arrow, columns, unnest)
    row = block.first_row
    try:
        for batch in file.iter_batches(
            BLOCK_ROWS, row_groups=list(block.row_groups) or None, columns=list(paths.reads if paths else columns)
        ):
            if paths is None:
                # Of a column `a.b` Parquet also reads the field b of a column a.
                yield pl.DataFrame(pl.from_arrow(batch if batch.num_columns == len(columns) else batch.select(columns)))
                continue
            frame, empty = taken(batch, paths, row)
            row += len(batch)
            counts.add("rows read", empty)
            counts.add(f"left out: {EMPTY_ARRAY}", empty)
            if len(frame):
                yield frame
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{block.path}: can't be read as Parquet from row {block.first_row:,} on: {error}; is the file whole?") from None


def _csv(block: Block, separator: str, columns: tuple[str, ...], counts: Counts) -> Iterator[pl.DataFrame]:
    skipped: list[int] = []

    def uneven(row: Any) -> str:
        skipped.append(row.number - 2)  # Arrow counts from 1, with the header.
        counts.add("rows read", 1)
        wrong = {FILE: block.path, ROW: skipped[-1], "expected": str(row.expected_columns), "got": row.text}
        counts.reject("a CSV row has too few or too many fields", pl.DataFrame([wrong]))
        return "skip"

    delimiter = "\t" if ".tsv" in block.path.rpartition("/")[2] else separator
    # One thread: only so does Arrow tell the number of a row that it can't parse.
    read = pacsv.ReadOptions(block_size=CHUNK_BYTES, use_threads=False)
    parse = pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=uneven)
    # What isn't read isn't parsed either, so that it can't be wrong.
    convert = pacsv.ConvertOptions(
        column_types=dict.fromkeys(columns, pa.string()), include_columns=columns, null_values=[""], strings_can_be_null=True
    )
    rows, next_row, torn = 0, 0, list[pl.DataFrame]()
    try:
        there = _header(block.path, delimiter)
        if not there:
            return
        check_columns(block.path, there, columns)
        with open_text(block.path) as stream:
            lines = _Lines(stream)
            opened = pacsv.open_csv(pa.PythonFile(lines, mode="r"), read_options=read, parse_options=parse, convert_options=convert)
            for part in (pl.DataFrame(pl.from_arrow(batch)) for batch in opened if batch.num_rows):
                places = np.arange(next_row, next_row + len(part) + len(skipped))
                places = places[~np.isin(places, skipped)][: len(part)]
                part = part.with_columns(pl.Series(ROW, places, pl.Int64))
                torn.append(part.filter(pl.any_horizontal(pl.col(pl.String).str.contains("\n", literal=True))).head(SAMPLES))
                rows, next_row = rows + len(part), int(places[-1]) + 1
                yield part
        beside = lines.count - 1 - rows - len(skipped)
        if beside > 0:
            seen = pl.concat([rows for rows in torn if len(rows)] or [pl.DataFrame({ROW: [None]})])
            name = "in one value: lines of a CSV file that a quote joins"
            counts.flaw(name, seen.with_columns(pl.lit(block.path).alias(FILE)), number=beside)
    except (pa.ArrowException, OSError, EOFError) as error:
        if "Empty CSV file" not in str(error):  # Names alone are no error.
            raise InputError(f"{block.path}: can't be read as CSV: {error}; is the file whole, in UTF-8, and each quote closed?") from None


def _header(path: str, delimiter: str) -> list[str]:
    """The names of a CSV file's columns; none of an empty file."""
    with open_text(path) as stream:
        first = stream.read(HEADER_BYTES).lstrip(b"\r\n").split(b"\n")[0].rstrip(b"\r")
    return next(csv.reader([first.decode("utf-8-sig", errors="replace")], delimiter=delimiter), [])


class _Lines:
    """A text file that counts the lines that are read of it, but for blank ones.

    Where there are more than rows, a quote has joined some to one value, as it may; or it was never closed, and has taken all lines up to
    the next.
    """

    def __init__(self, stream: Any) -> None:
        self._stream, self._within = stream, False
        self._ended, self.closed = 0, False

    @property
    def count(self) -> int:
        """The lines that have been read."""
        return self._ended + self._within

    def read(self, size: int) -> bytes:
        """The next bytes of the file."""
        chunk: bytes = self._stream.read(size)
        if chunk:
            read = np.frombuffer(chunk, np.uint8)
            ends = (read == ord("\n")) | (read == ord("\r"))
            self._ended += int(np.count_nonzero(ends[1:] & ~ends[:-1])) + int(ends[0] and self._within)
            self._within = not ends[-1]
        return chunk
