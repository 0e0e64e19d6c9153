"""Fill values down: from the first row of a group of consecutive rows to the others, where they are empty."""

from collections.abc import Iterator
from typing import Any

import polars as pl

from components.contract.sources import FillDown
from components.ingest.sources.id_text import words_of


def filled_down(parts: Iterator[pl.DataFrame], rule: FillDown) -> Iterator[pl.DataFrame]:
    """Fill the empty values of each frame from above, also across frames.

    Args:
        parts: consecutive frames of one file, with the column `within` of `rule`; one that lacks another has nothing to
            fill there.
        rule: `columns` take the last value above among consecutive rows of one value of `within`; where `within` itself
            is empty nothing is filled.
    """
    key = ""
    last: dict[str, Any] = {}
    for part in parts:
        if not len(part):
            yield part
            continue
        within = words_of(part[rule.within])  # one value, however it is written: `7`, ` 7`, `7.0`
        run = within.rle_id()
        goes_on = key != "" and within[0] == key
        filled = []
        present = [name for name in rule.columns if name in part.columns]
        for name in present:
            values = _forward(_emptied(part[name]), run)
            if goes_on and last.get(name) is not None:
                begins = pl.DataFrame({"v": values, "run": run})
                values = begins.select(pl.when(pl.col("run") == 0).then(pl.col("v").fill_null(last[name])).otherwise("v")).to_series()
            alone = within == ""
            filled.append(pl.select(pl.when(alone).then(part[name]).otherwise(values.alias("filled")).alias(name)).to_series())
        part = part.with_columns(filled)
        key = within[-1]
        last = {name: _emptied(part[name])[-1] for name in present}
        yield part


def _forward(values: pl.Series, run: pl.Series) -> pl.Series:
    return pl.DataFrame({"v": values, "run": run}).select(pl.col("v").forward_fill().over("run")).to_series()


def _emptied(values: pl.Series) -> pl.Series:
    """Return null where a value is empty: also blank text, and NaN."""
    if values.dtype == pl.String:
        return values.set(values.str.strip_chars() == "", None)
    return values.fill_nan(None) if values.dtype.is_float() else values
