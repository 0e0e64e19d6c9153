"""Put frames of raw rows together whose columns differ in type, as those of two batches of messages may."""

from collections.abc import Sequence

import polars as pl

from components.ingest.sources.id_text import text_of


def merged_rows(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the rows of all frames; a column has the type that holds all its values exactly, text if no other does."""
    if len(frames) == 1:
        return frames[0]
    try:
        return pl.concat(frames, how="vertical")
    except pl.exceptions.PolarsError:
        pass
    types = {name: {frame.schema[name] for frame in frames} - {pl.Null()} for name in frames[0].columns}
    mixed = [name for name, kinds in types.items() if len(kinds) > 1]
    alike = [frame.with_columns(text_of(frame[name]).set(frame[name].is_null(), None) for name in mixed) for frame in frames]
    return pl.concat(alike, how="vertical_relaxed")
