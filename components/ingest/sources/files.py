"""List the files of a source, and cut them into blocks that one worker reads at a time."""

import os
import posixpath
from dataclasses import dataclass
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.sources import EventSource, Files, Format
from components.ingest.sources.beam_filesystem import listed, opened, size_bytes
from components.ingest.sources.blocks import BLOCK_ROWS, Block

TEXT_ROW_BYTES = 60  # of an event in a text file, to guess their number

_ENDINGS: dict[str, Format] = {
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
    **dict.fromkeys((".csv", ".tsv"), "csv"),
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), "jsonl"),
}
_PACKED = (".gz", ".gzip", ".zst", ".zstd", ".bz2", ".xz", ".zip")  # endings of compressed files; the format is read from their bytes


@dataclass(frozen=True)
class Layout:
    """The blocks of a data set and about how many rows they have."""

    blocks: tuple[Block, ...]
    rows: int
    empty_files: tuple[str, ...]


def resolve(path: str, data_root: str) -> str:
    """Resolve a path of the dataset file: under the data folder unless it is absolute or names a file system."""
    return path if os.path.isabs(path) or "://" in path else posixpath.join(data_root, path)


def matching(source: Files, data_root: str) -> list[str]:
    """List a source's files, sorted.

    Raises:
        InputError: there is none.
    """
    pattern = resolve(source.path, data_root)
    paths = [path for path in listed(pattern) if not _hidden(path, pattern)]
    if not paths:
        raise InputError(f"{pattern}: expected at least one file, found none; check `path` and the data folder")
    return paths


def _hidden(path: str, pattern: str) -> bool:
    """Return whether a wildcard matches a file that Spark and Hive write beside their data (`_SUCCESS`,
    `.part-0.crc`)."""
    return posixpath.basename(path).startswith(("_", ".")) and posixpath.basename(pattern).startswith(("*", "?", "["))


def file_format(path: str, declared: Format | None) -> Format:
    """Return the declared format, or the one of the file's ending."""
    if declared:
        return declared
    stem, ending = os.path.splitext(path.lower())
    if ending in _PACKED:
        ending = os.path.splitext(stem)[1]
    if ending not in _ENDINGS:
        raise InputError(f"{path}: can't tell its format from its ending; expected one of {', '.join(_ENDINGS)}, or give `format`")
    return _ENDINGS[ending]


def open_parquet(path: str) -> pq.ParquetFile:
    """Open a Parquet file.

    Raises:
        InputError: it isn't one.
    """
    try:
        return pq.ParquetFile(path, memory_map=True) if os.path.exists(path) else pq.ParquetFile(opened(path))
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: can't be read as Parquet: {error}; is the file whole?") from None


def layout(dataset: Dataset, data_root: str) -> Layout:
    """Cut all event files into blocks."""
    blocks: list[Block] = []
    empty: list[str] = []
    rows, file_order = 0, 0
    for at, source in enumerate(dataset.events):
        for path in matching(source, data_root):
            cuts, in_file = _cuts(path, source)
            if not in_file:
                empty.append(path)
            for first_row, groups, first_unnested in cuts:
                blocks.append(Block(len(blocks), at, path, file_order, first_row, groups, first_unnested))
            rows, file_order = rows + in_file, file_order + 1
    if not blocks:
        raise InputError(f"{', '.join(empty)}: expected events, found no row; is this the right data folder ({data_root})?")
    return Layout(tuple(blocks), rows, tuple(empty))


def _cuts(path: str, source: EventSource) -> tuple[list[tuple[int, tuple[int, ...], int]], int]:
    """Return for each block of a file its first row, its row groups and the number of its first element; and the
    file's rows."""
    if file_format(path, source.format) != "parquet":
        size = size_bytes(path)
        return ([(0, (), 0)] if size else []), -(-size // TEXT_ROW_BYTES)
    meta = open_parquet(path).metadata
    cuts: list[tuple[int, tuple[int, ...], int]] = []
    groups: list[int] = []
    first, row, first_element, element = 0, 0, 0, 0
    for group in range(meta.num_row_groups):
        of_group = meta.row_group(group)
        groups.append(group)
        row += of_group.num_rows
        # A column within an array has a value for each element, and one for an empty array.
        element += max((of_group.column(at).num_values for at in range(of_group.num_columns)), default=0)
        whole = source.fill_down is not None  # values are carried from row to row
        if (row - first >= BLOCK_ROWS and not whole) or group == meta.num_row_groups - 1:
            if row > first:
                cuts.append((first, tuple(groups), first_element))
            groups, first, first_element = [], row, element
    return cuts, cast(int, meta.num_rows)
