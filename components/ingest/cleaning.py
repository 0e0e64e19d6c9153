"""One frame of raw rows to clean events: times in UTC microseconds, roles typed, what can't be used rejected and counted."""

from dataclasses import dataclass

import polars as pl

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.features import TEXT_LIMIT, GivenFeature, Number, Vector
from components.contract.sources import EventSource, Impressions, ListRows, Rows
from components.ingest.counts import Counts
from components.ingest.files import BLOCK_ROWS, Block
from components.ingest.reading import FILE, ROW
from components.ingest.times import numbers, times_us
from components.state.features import counted_impression

NO_ACTION = -1
UNCOUNTED = -2
RAW = "c:"  # before the name of a raw column
FILE_SHIFT = 40  # a row's `seq` is the file's place and the row's place in the file

# Clean events have these columns, then one `f:<name>` for each feature that is read from events.
ROLES = {
    "time": pl.Int64,
    "user": pl.String,
    "item": pl.String,
    "action": pl.Int8,
    "request": pl.String,
    "session": pl.String,
    "position": pl.Int32,
    "order": pl.Int64,
    "label": pl.Float32,
    "seq": pl.Int64,
}


@dataclass(frozen=True)
class Moment:
    """Where a frame comes from, what time it is (events later than that are wrong), and where the data ends, if before its last event."""

    block: Block
    now_us: int
    ends_us: int | None = None


def raw_columns(dataset: Dataset, source: EventSource) -> tuple[str, ...]:
    """The columns of an event source that are read."""
    needed = {*source.columns.named().values(), *(feature.key for feature in event_features(dataset))}
    if source.where is not None:
        needed |= set(_condition(source.where).meta.root_names())
    if isinstance(dataset.candidates, ListRows):
        needed |= {dataset.candidates.items, *dataset.candidates.columns.values()}
    return tuple(sorted(needed))


def event_features(dataset: Dataset) -> tuple[GivenFeature, ...]:
    """Features whose values stand in the event rows themselves."""
    shown = set(dataset.candidates.columns) if isinstance(dataset.candidates, ListRows) else set()
    return tuple(feature for feature in dataset.given("events") if not _clock(feature) and feature.key not in shown)


def clean(raw: pl.DataFrame, dataset: Dataset, moment: Moment, counts: Counts) -> pl.DataFrame:
    """Clean events of one frame, in the order of its rows.

    Raises:
        InputError: a column holds nothing that could be read as its role's type.
    """
    source = dataset.events[moment.block.source]
    counts.add("rows read", len(raw))
    if source.where is not None:
        raw = _where(raw, source, moment.block.path, counts)
    # Out of the way of the roles' names: a shop may call its column of items "user".
    raw = raw.rename({name: f"{RAW}{name}" for name in raw_columns(dataset, source)})
    raw = _timed(raw, source, moment, counts)
    raw = _acted(raw, source, dataset, counts)
    raw = _identified(raw, source, dataset, counts)
    raw = raw.with_columns((pl.lit(moment.block.file_order << FILE_SHIFT, pl.Int64) + pl.col(ROW)).alias("seq"))
    raw = raw.with_columns(_typed(raw, feature, f"{RAW}{feature.key}", f"f:{feature.name}", counts) for feature in event_features(dataset))
    for feature in event_features(dataset):
        if isinstance(feature, Number) and feature.minimum is not None:
            low = pl.col(f"f:{feature.name}") < feature.minimum
            raw = _split(raw, ~low, f"{feature.name} is below {feature.minimum:g}", counts)
    if isinstance(dataset.candidates, ListRows):
        raw = unrolled(raw, dataset, dataset.candidates, counts)
    impression = impression_code(dataset)
    if impression is not None:
        raw = _split(raw, (pl.col("action") != impression) | (pl.col("request") != ""), "an impression without a request", counts)
    return raw.select(
        *(pl.col(name).cast(kind) for name, kind in ROLES.items()),
        *(f"f:{feature.name}" for feature in dataset.given("events") if not _clock(feature)),
    )


def impression_code(dataset: Dataset) -> int | None:
    """The action code of an impression: its place among the actions.

    UNCOUNTED where lists are shown but the file doesn't count them, None without lists.
    """
    if not isinstance(dataset.candidates, Impressions | ListRows):
        return None
    name = counted_impression(dataset)
    return UNCOUNTED if name is None else list(dataset.actions).index(name)


def unrolled(raw: pl.DataFrame, dataset: Dataset, form: ListRows, counts: Counts) -> pl.DataFrame:
    """Each row that carries a list as one impression a candidate, followed by what was chosen from it."""
    of_list = list(dataset.actions).index(form.action)
    carrying = raw.filter(pl.col("action") == of_list)
    columns = {"items": form.items, **form.columns}
    texts = [text_of(carrying[f"{RAW}{column}"], separator=form.separator).alias(f"l:{name}") for name, column in columns.items()]
    # A request without a name is named by what its row says: a row that stands twice is one request then.
    content = carrying.select(name for name in ROLES if name != "seq").hstack(texts).hash_rows()
    named = pl.when(pl.col("request") != "").then(pl.col("request")).otherwise(pl.format("row-{}", pl.lit(content)))
    carrying = carrying.with_columns(*(text.str.split(form.separator) for text in texts), named.alias("request"))
    length = pl.col("l:items").list.len()
    even = (pl.col("l:items").list.first() != "") & pl.all_horizontal(pl.col(f"l:{name}").list.len() == length for name in columns)
    carrying = _split(carrying, even, "a list is empty, or its columns are of unequal length", counts)
    impressions = carrying.explode([f"l:{name}" for name in columns]).with_columns(
        pl.col("l:items").alias("item"),
        pl.int_range(pl.len(), dtype=pl.Int32).over("seq").alias("position"),
        pl.lit(impression_code(dataset), pl.Int8).alias("action"),
    )
    counts.add("rows added: candidates of lists", len(impressions))
    impressions = _split(impressions, pl.col("item") != "", "a candidate without an item", counts)
    shown = tuple(feature for feature in dataset.given("events", side="item") if feature.key in form.columns)
    values = impressions.select(FILE, ROW, "item", *(pl.col(f"l:{feature.key}").alias(feature.key) for feature in shown))
    impressions = impressions.hstack(typed_values(values, shown, counts).rename({feature.name: f"f:{feature.name}" for feature in shown}))
    chosen = carrying.filter(pl.col("item") != "") if dataset.actions[form.action].item else carrying
    counts.add("left out: lists from which nothing was chosen; their candidates are kept", len(carrying) - len(chosen))
    parts = (impressions, chosen, raw.filter(pl.col("action") != of_list))
    return pl.concat([part.drop("^l:.*$", strict=False) for part in parts], how="diagonal")


def typed_values(frame: pl.DataFrame, features: tuple[GivenFeature, ...], counts: Counts) -> pl.DataFrame:
    """Columns of a table (catalogue, shoppers, shown lists) as their features' types, named by the features.

    A number below its minimum is missing.
    """
    typed = []
    for feature in features:
        values = _typed(frame, feature, feature.key, feature.name, counts)
        if isinstance(feature, Number) and feature.minimum is not None:
            low = values < feature.minimum
            if low.any():
                counts.flaw(f"as missing: {feature.name} is below {feature.minimum:g}", frame.filter(low))
                values = pl.select(pl.when(low).then(float("nan")).otherwise(values).cast(pl.Float32).alias(feature.name)).to_series()
        typed.append(values)
    return pl.DataFrame(typed)


def text_of(values: pl.Series, *, separator: str = " ") -> pl.Series:
    """A column of any type as text, "" where it is missing; lists are joined.

    An id that met a missing value on its way through a frame is a float: 12.0 is 12.
    """
    if isinstance(values.dtype, pl.List | pl.Array):
        values = values.cast(pl.List(pl.String)).list.join(separator)
    if values.dtype.is_float():
        whole = (values == values.floor()) & (values.abs() < 2.0**53)
        exact = pl.select(
            pl.when(whole).then(values.cast(pl.Int64, strict=False).cast(pl.String)).when(values.is_not_nan()).then(values.cast(pl.String))
        )
        values = exact.to_series().alias(values.name)
    return values.cast(pl.String).fill_null("")


def _clock(feature: GivenFeature) -> bool:
    return feature.key.startswith("time.")


def _split(raw: pl.DataFrame, keep: pl.Expr, reason: str, counts: Counts) -> pl.DataFrame:
    mask = raw.select(keep.fill_null(value=False)).to_series()
    if mask.all():
        return raw
    counts.reject(reason, as_logged(raw.filter(~mask)))
    return raw.filter(mask)


def as_logged(raw: pl.DataFrame) -> pl.DataFrame:
    """Rows as the log has them, with file and row: what a sample shows."""
    return raw.select(FILE, ROW, *(name for name in raw.columns if name.startswith(RAW)))


def _where(raw: pl.DataFrame, source: EventSource, path: str, counts: Counts) -> pl.DataFrame:
    try:
        mask = raw.select(_condition(str(source.where)).fill_null(value=False)).to_series()
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{path}: the condition `where: {source.where}` can't be applied: {error}") from None
    counts.add("left out: by the condition `where`", int((~mask).sum()))
    return raw.filter(mask)


def _condition(where: str) -> pl.Expr:
    try:
        return pl.sql_expr(where)
    except pl.exceptions.PolarsError as error:
        raise InputError(f"the condition `where: {where}` isn't SQL that can be read: {error}") from None


def _timed(raw: pl.DataFrame, source: EventSource, moment: Moment, counts: Counts) -> pl.DataFrame:
    name = source.columns.time
    if name is None:
        return raw.with_columns(pl.lit(0, pl.Int64).alias("time"))
    column = raw[f"{RAW}{name}"]
    time = times_us(column, source, where=f"{moment.block.path}, column {name!r}")
    if _opens(raw) and time.null_count() == len(raw):
        raise InputError(
            f"{moment.block.path}: no time in column {name!r} can be parsed, the first is {column[0]!r};"
            " expected ISO 8601 or numbers since 1970 (see `time_unit`)"
        )
    raw = raw.with_columns(time.alias("time"))
    raw = _split(raw, pl.col("time").is_not_null(), f"the time in column {name!r} can't be parsed", counts)
    raw = _split(raw, pl.col("time") <= moment.now_us, "the time lies in the future", counts)
    if moment.ends_us is None:
        return raw
    kept = raw.filter(pl.col("time") <= moment.ends_us)
    counts.add("left out: after data_until", len(raw) - len(kept))
    return kept


def _acted(raw: pl.DataFrame, source: EventSource, dataset: Dataset, counts: Counts) -> pl.DataFrame:
    names = list(dataset.actions)
    if source.columns.action is None:
        code = names.index(source.action) if source.action else NO_ACTION
        return raw.with_columns(pl.lit(code, pl.Int8).alias("action"))
    codes = {value: code for code, (name, action) in enumerate(dataset.actions.items()) for value in action.values or (name,)}
    text = text_of(raw[f"{RAW}{source.columns.action}"])
    ignored = text.is_in(dataset.ignore_actions)
    counts.add("left out: ignored actions", int(ignored.sum()))
    raw = raw.with_columns(text.replace_strict(codes, default=None, return_dtype=pl.Int8).cast(pl.Int8).alias("action")).filter(~ignored)
    return _split(raw, pl.col("action").is_not_null(), "unknown action", counts)


def _identified(raw: pl.DataFrame, source: EventSource, dataset: Dataset, counts: Counts) -> pl.DataFrame:
    columns = {role: raw[f"{RAW}{column}"] for role, column in source.columns.named().items()}
    texts = [
        text_of(columns[role]).alias(role) if role in columns else pl.lit("").alias(role) for role in ("user", "item", "request", "session")
    ]
    position, order = (_whole(raw, columns.get(role), role, missing, counts) for role, missing in (("position", -1), ("order", 0)))
    label = columns["label"].cast(pl.Float32, strict=False) if "label" in columns else pl.lit(None, pl.Float32)
    raw = raw.with_columns(*texts, position, order, label.alias("label"))
    if isinstance(dataset.candidates, Rows):
        return _split(raw, pl.col("label").is_finite(), "the label isn't a number", counts)
    about_item = [code for code, action in enumerate(dataset.actions.values()) if action.item]
    of_list = list(dataset.actions).index(dataset.candidates.action) if isinstance(dataset.candidates, ListRows) else NO_ACTION
    # Text that an action carries in the item's column (a search) is no item.
    raw = raw.with_columns(pl.when(pl.col("action").is_in(about_item)).then(pl.col("item")).otherwise(pl.lit("")).alias("item"))
    raw = _split(raw, ~pl.col("action").is_in(about_item) | (pl.col("item") != "") | (pl.col("action") == of_list), "no item", counts)
    if source.missing_user == "reject":
        return _split(raw, pl.col("user") != "", "no user", counts)
    counts.add("kept of guests: events without user", int((raw["user"] == "").sum()))
    return raw


def _whole(raw: pl.DataFrame, values: pl.Series | None, role: str, missing: int, counts: Counts) -> pl.Series | pl.Expr:
    """A role's whole numbers; what is none is missing, and counted."""
    kind = ROLES[role]
    if values is None:
        return pl.lit(missing, kind).alias(role)
    whole = (numbers(values) if values.dtype == pl.String else values).cast(kind, strict=False)
    wrong = whole.is_null() & values.is_not_null()
    if wrong.any():
        counts.flaw(f"as missing: {role} isn't a whole number", as_logged(raw.filter(wrong)))
    return whole.fill_null(missing).alias(role)


def _typed(frame: pl.DataFrame, feature: GivenFeature, column: str, name: str, counts: Counts) -> pl.Series:
    """A column as float32 (NaN: missing), text ("": missing), or an array of float32."""
    values = frame[column]
    if isinstance(feature, Number):
        return _numbers(frame, feature, values, counts).alias(name)
    if isinstance(feature, Vector):
        return _vectors(frame, feature, values).alias(name)
    text = text_of(values, separator=getattr(feature, "separator", " "))
    # Bytes are quick to count, and never fewer than characters.
    if (text.str.len_bytes().max() or 0) > TEXT_LIMIT:  # type: ignore[operator]
        long = text.str.len_chars() > TEXT_LIMIT
        if long.any():
            counts.flaw(f"cut at {TEXT_LIMIT:,} characters: {feature.name}", _seen(frame.filter(long), column))
            text = text.str.slice(0, TEXT_LIMIT)
    return text.alias(name)


def _numbers(frame: pl.DataFrame, feature: Number, values: pl.Series, counts: Counts) -> pl.Series:
    if values.dtype == pl.Boolean or values.dtype.is_numeric():
        typed, given = values.cast(pl.Float32), values.is_not_null()
    else:
        text = text_of(values).str.strip_chars()
        typed, given = text.cast(pl.Float32, strict=False), text != ""
    wrong = given & (typed.is_null() | typed.is_infinite())
    if wrong.any():
        if _opens(frame) and int(wrong.sum()) == int(given.sum()):
            first = text_of(values.filter(wrong))[0]
            raise InputError(
                f"{_place(frame)}expected numbers in column {_logged(values)!r} (feature {feature.name!r}), got {first!r};"
                " is its kind right?"
            )
        counts.flaw(f"as missing: {feature.name} isn't a number", _seen(frame.filter(wrong), values.name))
    return pl.select(pl.when(wrong | typed.is_null()).then(float("nan")).otherwise(typed).cast(pl.Float32)).to_series()


def _vectors(frame: pl.DataFrame, feature: Vector, values: pl.Series) -> pl.Series:
    if not isinstance(values.dtype, pl.List | pl.Array):
        raise InputError(
            f"{_place(frame)}expected vectors in column {_logged(values)!r} (feature {feature.name!r}), got {values.dtype};"
            f" a column of lists of {feature.size} numbers is needed"
        )
    lists = values.cast(pl.List(pl.Float32))
    wrong = lists.list.len().fill_null(feature.size) != feature.size
    if wrong.any():
        raise InputError(
            f"{_place(frame.filter(wrong))}expected vectors of {feature.size} numbers in column {_logged(values)!r},"
            f" got one of {len(lists.filter(wrong)[0])}; correct it, or leave it empty"
        )
    missing = pl.lit(pl.Series([[float("nan")] * feature.size], dtype=pl.List(pl.Float32)))
    whole = pl.select(pl.when(lists.is_null()).then(missing).otherwise(lists.list.eval(pl.element().fill_null(float("nan")))))
    return whole.to_series().cast(pl.Array(pl.Float32, feature.size))


def _opens(frame: pl.DataFrame) -> bool:
    """Whether a frame opens a file. If nothing in it can be read, the file isn't what the dataset file says; later rows are rejected."""
    return len(frame) > 0 and frame[ROW][0] < BLOCK_ROWS


def _seen(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    return frame.select(FILE, ROW, *({"item"} & set(frame.columns)), column)


def _logged(values: pl.Series) -> str:
    return values.name.removeprefix(RAW)


def _place(frame: pl.DataFrame) -> str:
    return f"{frame[FILE][0]}, from row {frame[ROW][0]:,}: "
