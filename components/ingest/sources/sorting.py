"""Sorting by whole numbers, which is quicker than by texts."""

import numpy as np
import polars as pl


def sorted_place(texts: pl.Series) -> pl.Series:
    """For each text its place among the distinct ones in their order: it sorts as the text does."""
    places = texts.unique().sort().alias("text").to_frame().with_row_index("place")
    found = pl.DataFrame({"text": texts}).join(places, on="text", how="left", maintain_order="left")["place"]
    return found.cast(pl.Int64).alias(texts.name)


def sorted_by(frame: pl.DataFrame, *names: str) -> pl.DataFrame:
    """A frame sorted by columns of whole numbers without missing ones, stably."""
    return frame[np.lexsort([frame[name].to_numpy() for name in reversed(names)])]
