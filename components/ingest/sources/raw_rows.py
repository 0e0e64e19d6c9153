"""Locate the raw rows of a frame in their files, and reject unusable ones."""

import polars as pl

from components.ingest.counts import LINE, Counts
from components.ingest.sources.blocks import BLOCK_ROWS, FILE, ROW

RAW = "c:"  # before the name of a raw column


def keep_rows(raw: pl.DataFrame, keep: pl.Expr, reason: str, counts: Counts) -> pl.DataFrame:
    """Keep the rows that fulfil a condition; count the others as rejected for the reason."""
    mask = raw.select(keep.fill_null(value=False)).to_series()
    if mask.all():
        return raw
    counts.reject(reason, as_logged(raw.filter(~mask)))
    return raw.filter(mask)


def as_logged(raw: pl.DataFrame) -> pl.DataFrame:
    """Return rows as the log has them, with file and row, for samples."""
    return raw.select(*located(raw), *(name for name in raw.columns if name.startswith(RAW)))


def opens_file(frame: pl.DataFrame) -> bool:
    """Return whether a frame is a file's first. If nothing in it can be read, the file contradicts the dataset file;
    later rows are rejected."""
    return len(frame) > 0 and frame[ROW][0] < BLOCK_ROWS


def sample_rows(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """Return what a sample of flawed rows shows: their location, the item, and the column."""
    return frame.select(*located(frame), *({"item"} & set(frame.columns)), column)


def located(frame: pl.DataFrame) -> list[str]:
    """Return the columns of a row's location."""
    return [FILE, ROW, LINE] if LINE in frame.columns else [FILE, ROW]


def logged_name(values: pl.Series) -> str:
    """Return the name of a column in the log."""
    return values.name.removeprefix(RAW)


def location(frame: pl.DataFrame) -> str:
    """Return the beginning of an error about the rows of a frame: file and first row."""
    return f"{frame[FILE][0]}, from row {frame[located(frame)[-1]][0]:,}: "


def column_location(frame: pl.DataFrame, values: pl.Series) -> str:
    """Return the beginning of an error about a column of a frame: file and column."""
    path = f"{frame[FILE][0]}, " if len(frame) else ""
    return f"{path}column {logged_name(values)!r}"
