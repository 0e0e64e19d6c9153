"""Sort by whole numbers, which is quicker than by texts."""

import numpy as np
import polars as pl


def rank_texts(texts: pl.Series) -> pl.Series:
    """Rank each text among the distinct ones: ranks sort as the texts do."""
    ranks = texts.unique().sort().alias("text").to_frame().with_row_index("rank")
    rank = pl.DataFrame({"text": texts}).join(ranks, on="text", how="left", maintain_order="left")["rank"]
    return rank.cast(pl.Int64).alias(texts.name)


def sorted_by(frame: pl.DataFrame, *names: str) -> pl.DataFrame:
    """Sort a frame by columns of whole numbers without missing ones, stably."""
    return frame[np.lexsort([frame[name].to_numpy() for name in reversed(names)])]
