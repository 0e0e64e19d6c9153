"""Read the amounts of events: revenue, quantity and margin, numbers on event rows that belong to their labels."""

import polars as pl

from components.contract.dataset import Dataset
from components.contract.sources import EventSource
from components.ingest.counts import Counts
from components.ingest.events.event_columns import AMOUNT
from components.ingest.sources.feature_values import numbers
from components.ingest.sources.raw_rows import RAW, sample_rows

MAY_BE_NEGATIVE = ("margin",)


def with_amounts(raw: pl.DataFrame, source: EventSource, dataset: Dataset, counts: Counts) -> pl.DataFrame:
    """Add a column for each of the dataset's amounts to raw rows, NaN where a row has none.

    What isn't a finite number is missing, and counted. A labelled action whose revenue or quantity is below 0 is
    counted too: it is most likely a return that the log writes as a purchase.

    Raises:
        InputError: nothing in the column is a number.
    """
    named = source.columns.named()
    labelled = [code for code, name in enumerate(dataset.actions) if name in dataset.label_gains]
    for amount in dataset.amounts:
        if amount not in named:
            raw = raw.with_columns(pl.lit(float("nan"), AMOUNT).alias(amount))
            continue
        values = raw[f"{RAW}{named[amount]}"]
        raw = raw.with_columns(numbers(raw, values, counts, name=amount, role=f"role {amount!r}", dtype=AMOUNT))
        if amount not in MAY_BE_NEGATIVE:
            below = raw.filter((pl.col(amount) < 0) & pl.col("action").is_in(labelled))
            if len(below):
                counts.flaw(
                    f"with a {amount} below 0: labelled actions; returns are an action of their own",
                    sample_rows(below, f"{RAW}{named[amount]}"),
                )
    return raw
