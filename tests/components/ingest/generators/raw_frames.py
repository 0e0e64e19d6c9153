"""Files as raw frames: what reading makes of their columns, without cleaning."""

from pathlib import Path
from typing import Any

import polars as pl

from components.contract.sources import Table
from components.ingest.counts import LINE, Counts
from components.ingest.formats import readers
from components.ingest.sources.blocks import FILE, ROW, Block


def read(path: Path, columns: list[str], *, unnest: str | None = None, counts: Counts | None = None) -> list[pl.DataFrame]:
    """The frames of a file that is read as one block."""
    table = Table(path=str(path), id="id", unnest=unnest)
    return list(readers.frames(Block(0, 0, str(path), 0, 0), table, tuple(columns), counts or Counts()))


def rows_of(path: Path, columns: list[str], *, unnest: str | None = None, counts: Counts | None = None) -> list[dict[str, Any]]:
    """The rows of a file."""
    return [
        {name: row[name] for name in columns}
        for frame in read(path, columns, unnest=unnest, counts=counts)
        for row in frame.drop(FILE, ROW, LINE, strict=False).iter_rows(named=True)
    ]


def column_of(path: Path, column: str, *, unnest: str | None = None) -> list[Any]:
    """The values of one column."""
    return [row[column] for row in rows_of(path, [column], unnest=unnest)]
