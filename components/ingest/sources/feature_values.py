"""Convert columns of the log, the catalogue and the users to their features' types."""

import polars as pl

from components.contract.errors import InputError
from components.contract.features import TEXT_LIMIT, Category, GivenFeature, Id, Number, Vector
from components.ingest.counts import Counts
from components.ingest.sources.id_text import ids_of, text_of, words_of
from components.ingest.sources.raw_rows import column_location, location, logged_name, opens_file, sample_rows


def typed_values(frame: pl.DataFrame, features: tuple[GivenFeature, ...], counts: Counts, *, column: str | None = None) -> pl.DataFrame:
    """Return columns of a table (catalogue, users, shown lists) as their features' types, named by the features.

    A number below its minimum is missing. `column` is the one that holds the values; default: each feature's own.
    """
    typed = []
    for feature in features:
        values = typed_column(frame, feature, column or feature.key, feature.name, counts)
        if isinstance(feature, Number) and feature.minimum is not None:
            low = values < feature.minimum
            if low.any():
                counts.flaw(f"as missing: {feature.name} is below {feature.minimum:g}", frame.filter(low))
                values = pl.select(pl.when(low).then(float("nan")).otherwise(values).cast(pl.Float32).alias(feature.name)).to_series()
        typed.append(values)
    return pl.DataFrame(typed)


def typed_column(frame: pl.DataFrame, feature: GivenFeature, column: str, name: str, counts: Counts) -> pl.Series:
    """Return a column as float32 (NaN: missing), text ("": missing), or an array of float32."""
    values = frame[column]
    if isinstance(feature, Number):
        return numbers(frame, values, counts, name=feature.name, role=f"feature {feature.name!r}").alias(name)
    if isinstance(feature, Vector):
        return _vectors(frame, feature, values).alias(name)
    text = _text(frame, feature, values)
    # Bytes are quick to count, and never fewer than characters.
    if (text.str.len_bytes().max() or 0) > TEXT_LIMIT:  # type: ignore[operator]
        long = text.str.len_chars() > TEXT_LIMIT
        if long.any():
            counts.flaw(f"cut at {TEXT_LIMIT:,} characters: {feature.name}", sample_rows(frame.filter(long), column))
            text = text.str.slice(0, TEXT_LIMIT)
    return text.alias(name)


def _text(frame: pl.DataFrame, feature: GivenFeature, values: pl.Series) -> pl.Series:
    """Return a feature's values as text: ids and categories in one notation, words and lists of values as they are."""
    match feature:
        case Id():
            return ids_of(values, where=column_location(frame, values))
        case Category():
            return words_of(values)
    return text_of(values, separator=getattr(feature, "separator", " "))


def numbers(
    frame: pl.DataFrame, values: pl.Series, counts: Counts, *, name: str, role: str, dtype: pl.DataType | type[pl.DataType] = pl.Float32
) -> pl.Series:
    """Return a column of a frame as finite numbers, NaN where there is none; count other values under the name.

    Raises:
        InputError: nothing in the file's column is a number. The error names the `role` of the column.
    """
    if values.dtype == pl.Boolean or values.dtype.is_numeric():
        typed, present = values.cast(dtype), values.is_not_null()
    else:
        text = text_of(values).str.strip_chars()
        typed, present = text.cast(dtype, strict=False), text != ""
    wrong = present & (typed.is_null() | typed.is_infinite())
    if wrong.any():
        if opens_file(frame) and int(wrong.sum()) == int(present.sum()):
            first = text_of(values.filter(wrong))[0]
            raise InputError(
                f"{location(frame)}expected numbers in column {logged_name(values)!r} ({role}), got {first!r};"
                " is it the right column, and the right kind?"
            )
        counts.flaw(f"as missing: {name} isn't a number", sample_rows(frame.filter(wrong), values.name))
    return pl.select(pl.when(wrong | typed.is_null()).then(float("nan")).otherwise(typed).cast(dtype).alias(name)).to_series()


def _vectors(frame: pl.DataFrame, feature: Vector, values: pl.Series) -> pl.Series:
    if values.null_count() == len(values):
        values = pl.Series(values.name, [None] * len(values), dtype=pl.List(pl.Float32))
    if not isinstance(values.dtype, pl.List | pl.Array):
        raise InputError(
            f"{location(frame)}expected vectors in column {logged_name(values)!r} (feature {feature.name!r}), got {values.dtype};"
            f" a column of lists of {feature.size} numbers is needed"
        )
    lists = values.cast(pl.List(pl.Float32))
    wrong = lists.list.len().fill_null(feature.size) != feature.size
    if wrong.any():
        raise InputError(
            f"{location(frame.filter(wrong))}expected vectors of {feature.size} numbers in column {logged_name(values)!r},"
            f" got one of {len(lists.filter(wrong)[0])}; correct it, or leave it empty"
        )
    nan = float("nan")
    missing = pl.lit(pl.Series([[nan] * feature.size], dtype=pl.List(pl.Float32)))
    finite = pl.when(pl.element().is_finite()).then(pl.element()).otherwise(nan)  # null and infinity are missing
    whole = pl.select(pl.when(lists.is_null()).then(missing).otherwise(lists.list.eval(finite)))
    return whole.to_series().cast(pl.Array(pl.Float32, feature.size))
