"""Clean a frame of raw rows: times in UTC microseconds, roles typed, unusable rows rejected and counted."""

from dataclasses import dataclass

import polars as pl

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.features import Number
from components.contract.sources import EventSource, ListRows, Rows
from components.contract.userless import lacks_user
from components.contract.values.id_text import id_text
from components.contract.values.null_words import null_words, number_words
from components.ingest.counts import Counts
from components.ingest.events.amounts import with_amounts
from components.ingest.events.event_columns import AMOUNT, FILE_SHIFT, NO_ACTION, ROLES, event_features, impression_code
from components.ingest.events.shown_lists import shown_nowhere, unrolled
from components.ingest.events.source_columns import event_columns
from components.ingest.sources.blocks import ROW, Block
from components.ingest.sources.feature_values import typed_column
from components.ingest.sources.id_text import ids_of, words_of
from components.ingest.sources.null_words import count_words, null_mask
from components.ingest.sources.raw_rows import RAW, as_logged, column_location, keep_rows, logged_name, opens_file
from components.ingest.sources.row_filter import kept_by
from components.ingest.sources.timestamps import format_hint, joined_times_us, numbers


@dataclass(frozen=True)
class FrameContext:
    """The block that a frame comes from, the present (later events are wrong), and the end of the data, if before
    its last event."""

    block: Block
    now_us: int
    ends_us: int | None = None


def clean(raw: pl.DataFrame, dataset: Dataset, context: FrameContext, counts: Counts) -> pl.DataFrame:
    """Return the clean events of one frame, in the order of its rows.

    Raises:
        InputError: a column holds nothing that could be read as its role's type.
    """
    source = dataset.events[context.block.source]
    counts.add("rows read", len(raw))
    if source.where is not None:
        raw = _where(raw, source.where, context.block.path, counts)
    # Out of the way of the roles' names: a shop may call its column of items "user".
    raw = raw.rename({name: f"{RAW}{name}" for name in event_columns(dataset, source).columns})
    raw = _timed(raw, source, context, counts)
    raw = _acted(raw, source, dataset, counts)
    raw = _identified(raw, source, dataset, counts)
    raw = with_amounts(raw, source, dataset, counts)
    raw = raw.with_columns((pl.lit(context.block.file_order << FILE_SHIFT, pl.Int64) + pl.col(ROW)).alias("seq"))
    raw = raw.with_columns(
        typed_column(raw, feature, f"{RAW}{feature.key}", f"f:{feature.name}", counts) for feature in event_features(dataset)
    )
    for feature in event_features(dataset):
        if isinstance(feature, Number) and feature.minimum is not None:
            low = pl.col(f"f:{feature.name}") < feature.minimum
            raw = keep_rows(raw, ~low, f"{feature.name} is below {feature.minimum:g}", counts)
    if isinstance(dataset.candidates, ListRows):
        if dataset.forms_requests(source):
            raw = unrolled(raw, dataset, dataset.candidates, source=source, counts=counts)
        else:
            raw = shown_nowhere(raw, dataset)
    impression = impression_code(dataset)
    if impression is not None:
        raw = keep_rows(raw, (pl.col("action") != impression) | (pl.col("request") != ""), "an impression without a request", counts)
    return raw.select(
        *(pl.col(name).cast(kind) for name, kind in ROLES.items()),
        *(pl.col(amount).fill_null(float("nan")).cast(AMOUNT) for amount in dataset.amounts),
        *(f"f:{feature.name}" for feature in dataset.input_features("events") if not feature.from_clock),
    )


def _where(raw: pl.DataFrame, where: str, path: str, counts: Counts) -> pl.DataFrame:
    mask = kept_by(where, raw, path)
    counts.add("left out: by the condition `where`", int((~mask).sum()))
    return raw.filter(mask)


def _timed(raw: pl.DataFrame, source: EventSource, context: FrameContext, counts: Counts) -> pl.DataFrame:
    names = source.columns.time_columns
    if not names:
        return raw.with_columns(pl.lit(0, pl.Int64).alias("time"))
    columns, described = [raw[f"{RAW}{name}"] for name in names], " and ".join(map(repr, names))
    noun = "column" if len(names) == 1 else "columns"
    time = joined_times_us(columns, source, where=f"{context.block.path}, {noun} {described}")
    if opens_file(raw) and time.null_count() == len(raw):
        first = ", ".join(repr(column[0]) for column in columns)
        hint = format_hint(columns[0]) if len(names) == 1 else "see `time_format` and `time_unit`"
        raise InputError(
            f"{context.block.path}: no time in {noun} {described} can be parsed, the first is {first};"
            f" expected ISO 8601 or numbers since 1970 (see `time_unit`); {hint}"
        )
    raw = raw.with_columns(time.alias("time"))
    raw = keep_rows(raw, pl.col("time").is_not_null(), f"the time in column {described} can't be parsed", counts)
    raw = keep_rows(raw, pl.col("time") <= context.now_us, "the time lies in the future", counts)
    if context.ends_us is None:
        return raw
    kept = raw.filter(pl.col("time") <= context.ends_us)
    counts.add("left out: after data_until", len(raw) - len(kept))
    return kept


def _acted(raw: pl.DataFrame, source: EventSource, dataset: Dataset, counts: Counts) -> pl.DataFrame:
    names = list(dataset.actions)
    if source.columns.action is None:
        code = names.index(source.action) if source.action else NO_ACTION
        return raw.with_columns(pl.lit(code, pl.Int8).alias("action"))
    codes = {id_text(value): code for code, (name, action) in enumerate(dataset.actions.items()) for value in action.values or (name,)}
    text = words_of(raw[f"{RAW}{source.columns.action}"])
    ignored = text.is_in([id_text(value) for value in dataset.ignore_actions])
    counts.add("left out: ignored actions", int(ignored.sum()))
    raw = raw.with_columns(text.replace_strict(codes, default=None, return_dtype=pl.Int8).cast(pl.Int8).alias("action")).filter(~ignored)
    return keep_rows(raw, pl.col("action").is_not_null(), "unknown action", counts)


def _identified(raw: pl.DataFrame, source: EventSource, dataset: Dataset, counts: Counts) -> pl.DataFrame:
    columns = {role: raw[f"{RAW}{column}"] for role, column in source.columns.named().items()}
    texts = [_ids(raw, columns.get(role), role, source, counts) for role in ("user", "item", "request", "session")]
    position, order = (_whole(raw, columns.get(role), role, missing, counts) for role, missing in (("position", -1), ("order", 0)))
    label = columns["label"].cast(pl.Float32, strict=False) if "label" in columns else pl.lit(None, pl.Float32)
    raw = raw.with_columns(*texts, position, order, label.alias("label"))
    if isinstance(dataset.candidates, Rows):
        return keep_rows(raw, pl.col("label").is_finite(), "the label isn't a number", counts)
    about_item = [code for code, action in enumerate(dataset.actions.values()) if action.item]
    of_list = list(dataset.actions).index(dataset.candidates.action) if isinstance(dataset.candidates, ListRows) else NO_ACTION
    # Text that an action carries in the item's column (a search) is no item.
    raw = raw.with_columns(pl.when(pl.col("action").is_in(about_item)).then(pl.col("item")).otherwise(pl.lit("")).alias("item"))
    raw = keep_rows(raw, ~pl.col("action").is_in(about_item) | (pl.col("item") != "") | (pl.col("action") == of_list), "no item", counts)
    if lacks_user(dataset, source):
        # Another source has the request's user.
        return keep_rows(
            raw, (pl.col("request") != "") & (pl.col("action") != (impression_code(dataset))), "no user and no request", counts
        )
    if source.missing_user == "reject":
        return keep_rows(raw, pl.col("user") != "", "no user", counts)
    counts.add("kept of guests: events without user", int((raw["user"] == "").sum()))
    return raw


def _ids(raw: pl.DataFrame, values: pl.Series | None, role: str, source: EventSource, counts: Counts) -> pl.Series | pl.Expr:
    """Return a role's ids as text; "" where one is missing."""
    if values is None:
        return pl.lit("").alias(role)
    ids = ids_of(values, where=column_location(raw, values))
    # A null word that is a number matches any notation: 0.0 is as null as 0.
    numbers = frozenset(word for word in null_words(source, logged_name(values)) if number_words(frozenset((word,))))
    missing = null_mask(ids, numbers) if numbers else None
    if missing is not None:
        count_words(as_logged(raw), values, missing, counts)
        ids = ids.set(missing, "")
    return ids.alias(role)


def _whole(raw: pl.DataFrame, values: pl.Series | None, role: str, missing: int, counts: Counts) -> pl.Series | pl.Expr:
    """Return a role's whole numbers; count other values, and treat them as missing."""
    kind = ROLES[role]
    if values is None:
        return pl.lit(missing, kind).alias(role)
    present = values.is_not_null()
    if values.dtype == pl.String:
        present, values = present & (values != ""), numbers(values)
    if values.dtype.is_float():
        present &= ~values.is_nan().fill_null(value=False)  # how a frame holds gaps among whole numbers
        values = pl.select(pl.when(values == values.floor()).then(values)).to_series()
    whole = values.cast(kind, strict=False)
    wrong = whole.is_null() & present
    if wrong.any():
        counts.flaw(f"as missing: {role} isn't a whole number", as_logged(raw.filter(wrong)))
    return whole.fill_null(missing).alias(role)
