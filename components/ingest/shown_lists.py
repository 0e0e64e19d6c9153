"""Rows that carry a whole list, unrolled into one row a candidate."""

import polars as pl

from components.contract.dataset import Dataset
from components.contract.sources import ListRows
from components.ingest.counts import Counts
from components.ingest.event_columns import ROLES, impression_code
from components.ingest.feature_values import typed_values
from components.ingest.id_text import element_texts, text_of
from components.ingest.raw_rows import RAW, keep_rows, located


def unrolled(raw: pl.DataFrame, dataset: Dataset, form: ListRows, counts: Counts) -> pl.DataFrame:
    """Each row that carries a list as one impression a candidate, followed by what was chosen from it."""
    of_list = list(dataset.actions).index(form.action)
    carrying = raw.filter(pl.col("action") == of_list)
    columns = {"items": form.items, **form.columns}
    lists = [_split(carrying[f"{RAW}{column}"], form.separator).alias(f"l:{name}") for name, column in columns.items()]
    # A request without a name is named by what its row says: a row that stands twice is one request then.
    written = [
        lists[at] if carrying[f"{RAW}{column}"].dtype.is_nested() else text_of(carrying[f"{RAW}{column}"]).alias(f"l:{name}")
        for at, (name, column) in enumerate(columns.items())
    ]
    content = carrying.select(name for name in ROLES if name != "seq").hstack(written).hash_rows()
    named = pl.when(pl.col("request") != "").then(pl.col("request")).otherwise(pl.format("row-{}", pl.lit(content)))
    carrying = carrying.with_columns(*lists, named.alias("request"))
    length = pl.col("l:items").list.len()
    even = (pl.col("l:items").list.first() != "") & pl.all_horizontal(pl.col(f"l:{name}").list.len() == length for name in columns)
    carrying = keep_rows(carrying, even, "a list is empty, or its columns are of unequal length", counts)
    impressions = carrying.explode([f"l:{name}" for name in columns]).with_columns(
        pl.col("l:items").alias("item"),
        pl.int_range(pl.len(), dtype=pl.Int32).over("seq").alias("position"),
        pl.lit(impression_code(dataset), pl.Int8).alias("action"),
    )
    counts.add("rows added: candidates of lists", len(impressions))
    impressions = keep_rows(impressions, pl.col("item") != "", "a candidate without an item", counts)
    shown = tuple(feature for feature in dataset.given("events", side="item") if feature.key in form.columns)
    values = impressions.select(*located(impressions), "item", *(pl.col(f"l:{feature.key}").alias(feature.key) for feature in shown))
    impressions = impressions.hstack(typed_values(values, shown, counts).rename({feature.name: f"f:{feature.name}" for feature in shown}))
    chosen = carrying.filter(pl.col("item") != "") if dataset.actions[form.action].item else carrying
    counts.add("left out: lists from which nothing was chosen; their candidates are kept", len(carrying) - len(chosen))
    parts = (impressions, chosen, raw.filter(pl.col("action") != of_list))
    return pl.concat([part.drop("^l:.*$", strict=False) for part in parts], how="diagonal")


def _split(values: pl.Series, separator: str) -> pl.Series:
    """A column as lists of texts: text is split at the separator, a list keeps its places; nothing is [""]."""
    return element_texts(values) if values.dtype.is_nested() else text_of(values).str.split(separator)
