"""Times of any notation as microseconds since 1970, UTC."""

import polars as pl

from components.contract.errors import InputError
from components.contract.sources import TimedFiles

FIRST_US, LAST_US = -62_135_596_800_000_000, 253_402_300_799_999_999  # the years 1 to 9999, which dates can be written of
_FACTORS = {"s": 1_000_000, "ms": 1000, "us": 1}

_ZONED = ("%Y-%m-%d %H:%M:%S%.f%:z", "%Y-%m-%d %H:%M%:z")
_LOCAL = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M")


def times_us(column: pl.Series, source: TimedFiles, *, where: str) -> pl.Series:
    """A column of times as int64 microseconds; null where it can't be parsed.

    Args:
        column: timestamps, dates, numbers since 1970, or text: numbers or ISO 8601.
        source: says the unit of numbers and the zone of times that name none. A time that a change of clocks skips can't be parsed,
            one that it repeats is the earlier.
        where: what errors begin with.

    Raises:
        InputError: the column is of another type.
    """
    if column.dtype == pl.String:
        column = _parsed(column, source.timezone)
    if column.dtype.is_numeric():
        time = _epoch(column, source.time_unit)
    elif isinstance(column.dtype, pl.Datetime | pl.Date):
        time = _utc(column.cast(pl.Datetime("us")) if column.dtype == pl.Date else column, source.timezone)
    else:
        raise InputError(
            f"{where}: expected times, got {column.dtype}; numbers since 1970, ISO 8601 text, dates and timestamps can be read"
        )
    return _where(time, time.is_between(FIRST_US, LAST_US))


def numbers(column: pl.Series) -> pl.Series:
    """Text as whole numbers, or as floats where some aren't whole; null where it is no number."""
    text = column.str.strip_chars()
    whole, floats = text.cast(pl.Int64, strict=False), text.cast(pl.Float64, strict=False)
    return whole if whole.null_count() == floats.null_count() else floats


def _parsed(column: pl.Series, timezone: str) -> pl.Series:
    counted = numbers(column)
    if counted.null_count() == column.null_count():
        return counted
    written = _iso(column, timezone)
    return written if written.null_count() <= counted.null_count() else counted


def _iso(column: pl.Series, timezone: str) -> pl.Series:
    plain = column.str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False)
    if plain.null_count() == column.null_count():
        return plain
    text = column.str.strip_chars().str.replace("T", " ", literal=True).str.replace("Z$", "+00:00")
    readings = [text.str.to_datetime(pattern, time_unit="us", time_zone="UTC", strict=False) for pattern in _ZONED]
    local = [text.str.to_datetime(pattern, time_unit="us", strict=False) for pattern in _LOCAL]
    local.append(text.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us")))
    readings += [_zoned(reading, timezone).dt.convert_time_zone("UTC") for reading in local]
    return pl.select(pl.coalesce(readings)).to_series()


def _utc(column: pl.Series, timezone: str) -> pl.Series:
    zoned = column if isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone else _zoned(column, timezone)
    return zoned.dt.convert_time_zone("UTC").dt.cast_time_unit("us").cast(pl.Int64)


def _zoned(column: pl.Series, timezone: str) -> pl.Series:
    return column.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")


def _epoch(column: pl.Series, unit: str) -> pl.Series:
    """Numbers since 1970 as microseconds; `auto` takes the unit in which the median lies between 1973 and 5138."""
    if unit == "auto":
        middle = abs(float(column.cast(pl.Float64).fill_nan(None).median() or 0))  # type: ignore[arg-type]
        unit = next((name for name, limit in (("s", 1e11), ("ms", 1e14), ("us", 1e17)) if middle < limit), "ns")
    if column.dtype.is_integer():
        whole = column.cast(pl.Int64, strict=False)
        if unit == "ns":
            return whole // 1000
        factor = _FACTORS[unit]
        return _where(whole, whole.is_between(FIRST_US // factor, LAST_US // factor)) * factor
    return (column.cast(pl.Float64).fill_nan(None) * {"ns": 1e-3, **_FACTORS}[unit]).round().cast(pl.Int64, strict=False)


def _where(values: pl.Series, fits: pl.Series) -> pl.Series:
    return pl.select(pl.when(fits).then(values)).to_series()
