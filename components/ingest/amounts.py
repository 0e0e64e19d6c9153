"""What an event brought in, how many pieces it was, what was earned by it: numbers on event rows that belong to their labels."""

import polars as pl

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.sources import Amount, EventSource
from components.ingest.counts import Counts
from components.ingest.event_columns import AMOUNT
from components.ingest.id_text import text_of
from components.ingest.raw_rows import RAW, location, opens_file, sample_rows

MAY_BE_NEGATIVE = ("margin",)


def with_amounts(raw: pl.DataFrame, source: EventSource, dataset: Dataset, counts: Counts) -> pl.DataFrame:
    """Raw rows with a column for each of the dataset's amounts, NaN where a row has none.

    What isn't a finite number is missing, and counted. A labelled action whose revenue or quantity is below 0 is counted too: it is most
    likely a return that the log writes as a purchase.

    Raises:
        InputError: nothing in the column is a number.
    """
    named = source.columns.named()
    labelled = [code for code, name in enumerate(dataset.actions) if name in dataset.label_gains]
    for amount in dataset.amounts:
        if amount not in named:
            raw = raw.with_columns(pl.lit(float("nan"), AMOUNT).alias(amount))
            continue
        raw = raw.with_columns(_numbers(raw, amount, named[amount], counts).alias(amount))
        if amount not in MAY_BE_NEGATIVE:
            below = raw.filter((pl.col(amount) < 0) & pl.col("action").is_in(labelled))
            if len(below):
                counts.flaw(
                    f"with a {amount} below 0: labelled actions; returns are an action of their own",
                    sample_rows(below, f"{RAW}{named[amount]}"),
                )
    return raw


def _numbers(raw: pl.DataFrame, amount: Amount, column: str, counts: Counts) -> pl.Series:
    values = raw[f"{RAW}{column}"]
    if values.dtype == pl.Boolean or values.dtype.is_numeric():
        typed, present = values.cast(AMOUNT), values.is_not_null()
    else:
        text = text_of(values).str.strip_chars()
        typed, present = text.cast(AMOUNT, strict=False), text != ""
    wrong = present & (typed.is_null() | typed.is_infinite())
    if wrong.any():
        if opens_file(raw) and int(wrong.sum()) == int(present.sum()):
            first = text_of(values.filter(wrong))[0]
            raise InputError(
                f"{location(raw)}expected numbers in column {column!r} (role {amount!r}), got {first!r}; is it the right column?"
            )
        counts.flaw(f"as missing: {amount} isn't a number", sample_rows(raw.filter(wrong), values.name))
    return pl.select(pl.when(wrong | typed.is_null()).then(float("nan")).otherwise(typed)).to_series()
