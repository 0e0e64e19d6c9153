"""Explode rows that carry a whole list into one row a candidate."""

import polars as pl

from components.contract.dataset import Dataset
from components.contract.features import GivenFeature, Number, Vector
from components.contract.sources import EventSource, ListRows
from components.contract.values.null_words import null_words
from components.ingest.counts import Counts
from components.ingest.events.event_columns import ROLES, impression_code
from components.ingest.sources.feature_values import typed_values
from components.ingest.sources.id_text import element_texts, ids_of, text_of
from components.ingest.sources.null_words import count_words, null_mask
from components.ingest.sources.raw_rows import RAW, column_location, keep_rows, located

NOTHING_CHOSEN = "lists from which nothing was chosen; their candidates are kept"


def unrolled(raw: pl.DataFrame, dataset: Dataset, form: ListRows, *, source: EventSource, counts: Counts) -> pl.DataFrame:
    """Explode each row that carries a list into one impression a candidate, followed by the action on it."""
    of_list = list(dataset.actions).index(form.action)
    carrying = raw.filter(pl.col("action") == of_list)
    columns = {"items": form.items, **form.columns}
    lists = [_split(carrying[f"{RAW}{column}"], form.separator).alias(f"l:{name}") for name, column in columns.items()]
    # A request without a name is named by its row's content: a repeated row is one request then.
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
    impressions = carrying.explode([f"l:{name}" for name in columns])
    impressions = impressions.with_columns(_elements(impressions, name, column, source, counts) for name, column in columns.items())
    impressions = impressions.with_columns(
        ids_of(impressions["l:items"].alias(f"{RAW}{form.items}"), where=column_location(raw, raw[f"{RAW}{form.items}"])).alias("item"),
        pl.int_range(pl.len(), dtype=pl.Int32).over("seq").alias("position"),
        pl.lit(impression_code(dataset), pl.Int8).alias("action"),
    )
    counts.add("rows added: candidates of lists", len(impressions))
    impressions = keep_rows(impressions, pl.col("item") != "", "a candidate without an item", counts)
    shown = _shown(dataset, form)
    values = impressions.select(*located(impressions), "item", *(pl.col(f"l:{feature.key}").alias(feature.key) for feature in shown))
    impressions = impressions.hstack(typed_values(values, shown, counts).rename({feature.name: f"f:{feature.name}" for feature in shown}))
    chosen = carrying.filter(pl.col("item") != "") if dataset.actions[form.action].item else carrying
    counts.add(f"left out: {NOTHING_CHOSEN}", len(carrying) - len(chosen))
    parts = (impressions, chosen, raw.filter(pl.col("action") != of_list))
    return pl.concat([part.drop("^l:.*$", strict=False) for part in parts], how="diagonal")


def _elements(impressions: pl.DataFrame, name: str, column: str, source: EventSource, counts: Counts) -> pl.Series:
    """Return the elements of lists, "" in place of words that stand for a missing value."""
    elements = impressions[f"l:{name}"]
    missing = null_mask(elements, null_words(source, column))
    if missing is None:
        return elements
    count_words(impressions.select(*located(impressions), f"{RAW}{column}"), elements.alias(f"{RAW}{column}"), missing, counts)
    return elements.set(missing, "")


def shown_nowhere(raw: pl.DataFrame, dataset: Dataset) -> pl.DataFrame:
    """Add empty columns for the features of shown lists to the rows of a source that carries none."""
    assert isinstance(dataset.candidates, ListRows)
    return raw.with_columns(pl.lit(None, _dtype(feature)).alias(f"f:{feature.name}") for feature in _shown(dataset, dataset.candidates))


def _shown(dataset: Dataset, form: ListRows) -> tuple[GivenFeature, ...]:
    return tuple(feature for feature in dataset.input_features("events", side="item") if feature.key in form.columns)


def _dtype(feature: GivenFeature) -> pl.DataType:
    match feature:
        case Number():
            return pl.Float32()
        case Vector(size=size):
            return pl.Array(pl.Float32, size)
    return pl.String()


def _split(values: pl.Series, separator: str) -> pl.Series:
    """Return a column as lists of texts: text is split at the separator, a list keeps its elements; missing is [""]."""
    return element_texts(values) if values.dtype.is_nested() else text_of(values).str.split(separator)
