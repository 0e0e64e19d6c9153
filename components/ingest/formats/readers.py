"""Read a block of a file as frames of raw columns, each row with its index in the file."""

from collections.abc import Iterator

import polars as pl
import pyarrow as pa

from components.contract.errors import InputError
from components.contract.sources import Files
from components.ingest.counts import Counts
from components.ingest.formats.csv_rows import csv_frames
from components.ingest.formats.json_lines import EMPTY_ARRAY, json_frames
from components.ingest.formats.struct_paths import struct_paths, take_columns
from components.ingest.sources.blocks import BLOCK_ROWS, FILE, ROW, Block
from components.ingest.sources.column_selection import ColumnSelection
from components.ingest.sources.files import file_format, open_parquet
from components.ingest.sources.fill_down import filled_down
from components.ingest.sources.null_words import without_null_words
from components.ingest.sources.partitions import partition_values
from components.ingest.sources.plain_columns import plain_columns

CHUNK_BYTES = 64 << 20
ABSENT = "as missing: the file has no column "


def frames(block: Block, source: Files, columns: tuple[str, ...] | ColumnSelection, counts: Counts) -> Iterator[pl.DataFrame]:
    """Read a block in frames of about half a million rows.

    Args:
        block: which part of which file.
        source: the `EventSource` or `Table` it belongs to.
        columns: those that are needed; a `ColumnSelection` has those that the file may lack, and gets those that it
            does.
        counts: gets the rows of a CSV file that are none, the columns that aren't there, and the words that stand for
            missing values.

    Raises:
        InputError: the file can't be read, lacks a column, or has structures in one.
    """
    requested = columns if isinstance(columns, ColumnSelection) else ColumnSelection(columns)
    folders = {name: value for name, value in partition_values(block.path).items() if name in requested.columns}
    selection = ColumnSelection(requested.columns, requested.optional | folders.keys())
    kind = file_format(block.path, source.format)
    if source.header and kind != "csv":
        raise InputError(f"{block.path}: `header` names the columns of CSV files, and this one's format is {kind!r}; leave `header` out")
    match kind:
        case "parquet":
            first = block.first_row if source.unnest is None else block.first_unnested
            parts = _numbered(_parquet(block, selection, source.unnest, counts), first)
        case "csv":
            parts = csv_frames(block.path, source, selection, counts, chunk_bytes=CHUNK_BYTES)
        case _:
            parts = _numbered(json_frames(block.path, source, selection, counts, chunk_bytes=CHUNK_BYTES), 0)
    if source.fill_down is not None and source.fill_down.within in requested.columns:
        parts = filled_down(parts, source.fill_down)
    rows = 0
    for part in parts:
        rows += len(part)
        # Which columns a file of JSON Lines lacks is known at its end only.
        missing = [name for name in folders if name not in part.columns or part[name].null_count() == len(part)]
        missing += [name for name in selection.columns if name not in part.columns and name not in folders]
        part = part.with_columns(pl.lit(folders.get(name), pl.String).alias(name) for name in missing)
        whole = part.with_columns(pl.lit(block.path).alias(FILE), *plain_columns(part, block.path))
        yield without_null_words(whole, selection.columns, source, counts)
    if selection.absent is not None:  # otherwise nothing is known of the file's columns
        requested.absent = {name: sentence for name, sentence in selection.absent.items() if name not in folders}
        for name in requested.absent:
            if rows and name not in requested.incidental:
                counts.flaw(f"{ABSENT}{name!r}", pl.DataFrame([{FILE: block.path}]), number=rows)


def _numbered(parts: Iterator[pl.DataFrame], row: int) -> Iterator[pl.DataFrame]:
    for part in parts:
        yield part.with_columns(pl.int_range(row, row + len(part), dtype=pl.Int64, eager=True).alias(ROW))
        row += len(part)


def _parquet(block: Block, selection: ColumnSelection, unnest: str | None, counts: Counts) -> Iterator[pl.DataFrame]:
    file = open_parquet(block.path)
    paths = struct_paths(block.path, file.schema_arrow, selection, unnest)
    present = [name for name in selection.columns if name not in (selection.absent or {})]
    row = block.first_row
    try:
        for batch in file.iter_batches(
            BLOCK_ROWS, row_groups=list(block.row_groups) or None, columns=list(paths.reads) if paths else present
        ):
            if paths is None:
                # Of a column `a.b` Parquet also reads the field b of a column a.
                yield pl.DataFrame(pl.from_arrow(batch if batch.num_columns == len(present) else batch.select(present)))
                continue
            frame, empty = take_columns(batch, paths, row)
            row += len(batch)
            counts.add("rows read", empty)
            counts.add(f"left out: {EMPTY_ARRAY}", empty)
            if len(frame):
                yield frame
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{block.path}: can't be read as Parquet from row {block.first_row:,} on: {error}; is the file whole?") from None
