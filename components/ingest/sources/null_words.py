"""Replace words that a log writes for missing values by nulls, in columns of any type."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from components.contract.sources import Files
from components.contract.values.null_words import null_words, number_words
from components.ingest.counts import Counts

COUNTED = "as missing by `null_values`: "  # what the counts of null words begin with, then column and word
BLANKS = "blanks"


def without_null_words(frame: pl.DataFrame, columns: Sequence[str], files: Files, counts: Counts) -> pl.DataFrame:
    """Replace the null words of a source by null in a frame of raw rows; count them by column and word."""
    mended = []
    for column in (frame[name] for name in columns):
        missing = null_mask(column, null_words(files, column.name))
        if missing is not None:
            count_words(frame, column, missing, counts)
            mended.append(column.set(missing, None))
    return frame.with_columns(mended) if mended else frame


def null_mask(column: pl.Series, words: frozenset[str]) -> pl.Series | None:
    """Return which values are null words; None where there is none, which is the usual case and quick."""
    if column.dtype == pl.String:
        missing = column.is_in(list(words))
        if _has_blanks(column):
            stripped = column.str.strip_chars()
            missing |= stripped.is_in(list(words)) | ((stripped == "") & (column != ""))
    elif column.dtype.is_numeric() and (numbers := number_words(words)):
        missing = pl.Series(np.zeros(len(column), np.bool_))
        for number in numbers:
            missing |= (column == number).fill_null(value=False)
    else:
        return None
    return missing.fill_null(value=False) if missing.any() else None


def count_words(frame: pl.DataFrame, column: pl.Series, missing: pl.Series, counts: Counts) -> None:
    """Count the missing values of a column by word, and keep rows of the frame as samples."""
    text = column.filter(missing).cast(pl.String).str.strip_chars()
    rows = frame.filter(missing)
    name = column.name.removeprefix("c:")
    for word in text.unique().sort():
        shown = f"'{word}'" if word else BLANKS
        counts.flaw(f"{COUNTED}{name} = {shown}", rows.filter(text == word))


def _has_blanks(column: pl.Series) -> bool:
    """Return whether a text column may contain white space."""
    data = column.to_arrow().buffers()[2]
    if data is None:
        return False
    read = np.frombuffer(data, np.uint8)
    return bool(len(read) and (read.min() <= ord(" ") or read.max() >= 0x80))
