"""Convert times of any notation to microseconds since 1970, UTC."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import polars as pl

from components.contract.errors import InputError
from components.contract.sources import TimeNotation
from components.ingest.sources.id_text import text_of
from components.ingest.sources.raw_rows import logged_name

Reading = Callable[[pl.Series], pl.Series]

FIRST_US, LAST_US = -62_135_596_800_000_000, 253_402_300_799_999_999  # the years 1 to 9999, which dates can be written of
_FACTORS = {"d": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1000, "us": 1}
# By size: 1e11 seconds are in the year 5138, 1e11 milliseconds in 1973.
_LIMITS = (("s", 10**11), ("ms", 10**14), ("us", 10**17))

# In the order in which they are tried. A time that names its zone first: what is left is of the file's zone.
_ZONED = ("%Y-%m-%d %H:%M:%S%.f%:z", "%Y-%m-%d %H:%M%:z")
_ZONED_MAIL = ("%a, %d %b %Y %H:%M:%S%:z", "%d %b %Y %H:%M:%S%:z")  # RFC 2822
_LOCAL = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d")
_NOTATIONS = (  # made one: what is matched, and what it becomes
    (r"^([0-9]{4})/([0-9]{1,2})/([0-9]{1,2})", "${1}-${2}-${3}"),
    (r"^([0-9]{4}-[0-9]{1,2}-[0-9]{1,2})[Tt]", "${1} "),
    (r"(:[0-9]{2}),([0-9]+)", "${1}.${2}"),
    (r"([0-9])\s*(?:[Zz]|UTC|GMT)$", "${1}+00:00"),
    (r"(:[0-9]{2}(?:\.[0-9]+)?)\s*([+-][0-9]{2}):?([0-9]{2})$", "${1}${2}:${3}"),
    (r"(:[0-9]{2}(?:\.[0-9]+)?)\s*([+-][0-9]{2})$", "${1}${2}:00"),
)
_MIDNIGHT = r"[T ]00:00(?::00(?:\.0+)?)?$"  # after a date that was written as a datetime

# Formats of people and spreadsheets, which one example doesn't distinguish.
_DATES = ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%d/%m/%y", "%m/%d/%y", "%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%Y%m%d")
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S%.f", " %I:%M %p", " %I:%M:%S %p")
_OTHERS = ("%d/%b/%Y:%H:%M:%S %z", "%Y%m%dT%H%M%S", "%Y%m%d%H%M%S", "%Y.%m.%d %H:%M:%S", "%Y-%m-%d-%H.%M.%S%.f")
_HINT_ROWS = 1000
_FIRST_YEAR, _LAST_YEAR = 1980, 2100

# Numbers that a person reads as dates: digits, format, and the bounds of its parts from the right.
_DAY, _MONTH, _HOUR, _SIXTY = (1, 31), (1, 12), (0, 23), (0, 59)
_YEAR, _SHORT_YEAR = (_FIRST_YEAR, _LAST_YEAR), (0, 99)
_DATE_NUMBERS = (
    (8, "%Y%m%d", (_DAY, _MONTH, _YEAR)),
    (8, "%y%m%d%H", (_HOUR, _DAY, _MONTH, (5, 50))),
    (10, "%Y%m%d%H", (_HOUR, _DAY, _MONTH, _YEAR)),
    (12, "%Y%m%d%H%M", (_SIXTY, _HOUR, _DAY, _MONTH, _YEAR)),
    (14, "%Y%m%d%H%M%S", (_SIXTY, _SIXTY, _HOUR, _DAY, _MONTH, _YEAR)),
)
_SPREADSHEET_DAYS = (29_221, 73_050)  # 1980 to 2099, counted from 1900


def times_us(column: pl.Series, notation: TimeNotation, *, where: str, unit: str | None = None) -> pl.Series:
    """Return a column of times as int64 microseconds; null where it can't be parsed.

    Args:
        column: timestamps, dates, numbers since 1970, or text: numbers or ISO 8601, or of `time_format`.
        notation: has the unit of numbers, the format of text and the zone of times that name none. A time that a
            change of clocks skips can't be parsed, one that it repeats is the earlier.
        where: what errors begin with.
        unit: of numbers, instead of the notation's.

    Raises:
        InputError: the column is of another type, a format can't be used, or numbers look like dates.
    """
    unit = unit or (notation.time_unit if isinstance(notation.time_unit, str) else notation.time_unit[0])
    if column.dtype.is_numeric() and notation.formats:
        column = _as_text(column)
    if column.dtype == pl.String:
        time = _formatted(column, notation, where) if notation.formats else _parsed(column, notation.timezone, unit, where)
    elif column.dtype.is_numeric():
        time = _epoch(column, unit, where)
    elif isinstance(column.dtype, pl.Datetime | pl.Date):
        time = _utc(column.cast(pl.Datetime("us")) if column.dtype == pl.Date else column, notation.timezone)
    else:
        raise InputError(
            f"{where}: expected times, got {column.dtype}; numbers since 1970, ISO 8601 text, dates and timestamps can be read"
        )
    return _where(time, time.is_between(FIRST_US, LAST_US))


def joined_times_us(columns: Sequence[pl.Series], notation: TimeNotation, *, where: str) -> pl.Series:
    """Combine several columns to times: a date and what is joined to it (a clock's text) or added to it (numbers of a
    unit).

    Raises:
        InputError: as `times_us`; or a number has no unit.
    """
    first, *others = columns
    units = (notation.time_unit,) * len(columns) if isinstance(notation.time_unit, str) else notation.time_unit
    if not others:
        return times_us(first, notation, where=where)
    texts, added = [], []
    for column, unit in zip(others, units[1:], strict=True):
        if unit != "auto":
            added.append(_scaled(numbers(column) if column.dtype == pl.String else column, unit))
        elif column.dtype.is_numeric() and not notation.formats:
            raise InputError(
                f"{where}: expected the text of a clock in column {logged_name(column)!r}, got {column.dtype};"
                " say the unit of each column, such as `time_unit: [auto, s]`, or a `time_format` of all of them, joined by blanks"
            )
        else:
            texts.append(column)
    if texts:
        joined = [_day_text(first), *(_as_text(each).str.strip_chars() for each in texts)]
        day = pl.select(pl.concat_str([pl.lit(each) for each in joined], separator=" ")).to_series()
        time = times_us(day, notation, where=where)
    else:
        time = times_us(first, notation, where=where, unit=units[0])
    for each in added:
        time = time + each
    return _where(time, time.is_between(FIRST_US, LAST_US))


def numbers(column: pl.Series) -> pl.Series:
    """Return text as whole numbers, or as floats where some aren't whole; null where it is no number."""
    text = column.str.strip_chars()
    whole, floats = text.cast(pl.Int64, strict=False), text.cast(pl.Float64, strict=False)
    return whole if whole.null_count() == floats.null_count() else floats


def format_hint(column: pl.Series) -> str:
    """Return the advice for times that can't be parsed: the formats that fit all of them."""
    text = column.cast(pl.String).drop_nulls().str.strip_chars()
    text = text.filter(text != "").unique().head(_HINT_ROWS)
    fitting = [format_ for format_ in _known_formats() if len(text) and _fits(text, format_)]
    if not fitting:
        return "say `time_format`, such as '%d/%m/%Y %H:%M'"
    if len(fitting) == 1:
        return f"say `time_format: '{fitting[0]}'`, if that is what it means"
    return (
        f"it can be read in several ways: say which one is meant, {' or '.join(f'`time_format: {format_!r}`' for format_ in fitting[:3])}"
    )


def _known_formats() -> Iterator[str]:
    yield from (date + clock for date in _DATES for clock in _CLOCKS)
    yield from _OTHERS


def _fits(text: pl.Series, format_: str) -> bool:
    moments = text.str.to_datetime(format_, time_unit="us", strict=False)
    years = moments.dt.year()
    return moments.null_count() == 0 and bool(years.is_between(_FIRST_YEAR, _LAST_YEAR).all())


def _formatted(column: pl.Series, notation: TimeNotation, where: str) -> pl.Series:
    """Parse text by the formats, each tried on what those before it couldn't parse."""
    return _first_reading(column.str.strip_chars(), [partial(_by_format, notation, where, each) for each in notation.formats])


def _by_format(notation: TimeNotation, where: str, format_: str, text: pl.Series) -> pl.Series:
    names_utc = format_.endswith(("UTC", "GMT", "Z"))
    if ",%f" in format_ or ",%.f" in format_:
        text, format_ = text.str.replace(r",([0-9]+)", ".${1}"), format_.replace(",%f", "%.f").replace(",%.f", "%.f")
    # Python's fraction, and offsets of hours alone.
    format_ = format_.replace(".%f", "%.f").replace("%z", "%#z")
    if ("%H" in format_ or "%I" in format_) and "%M" not in format_:  # polars has no hour without a minute
        text, format_ = text + "|00", f"{format_}|%M"
    try:
        moments = text.str.to_datetime(format_, time_unit="us", strict=False)
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{where}: `time_format` {format_!r} can't be used: {str(error).splitlines()[0]}") from None
    return _utc(moments, "UTC" if names_utc else notation.timezone)


def _parsed(column: pl.Series, timezone: str, unit: str, where: str) -> pl.Series:
    """Parse text as numbers, and the rest as ISO 8601."""
    counted = numbers(column)
    if counted.null_count() == column.null_count():
        return _epoch(counted, unit, where)
    if counted.null_count() == len(column):
        return _iso(column, timezone)
    return _first_reading(column, [lambda text: _epoch(numbers(text), unit, where), lambda text: _iso(text, timezone)])


def _iso(column: pl.Series, timezone: str) -> pl.Series:
    """Parse ISO 8601 and common variants of it."""
    plain = column.str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False)
    if plain.null_count() == column.null_count():
        return _utc(plain, timezone)
    text = column.str.strip_chars()
    usual = text.str.replace("T", " ", literal=True).str.replace("Z$", "+00:00")
    parsed = _first_reading(usual, _iso_readings(_ZONED, timezone))
    rest = parsed.is_null() & text.is_not_null()
    if not rest.any():
        return parsed
    rare = text.filter(rest)
    for pattern, becomes in _NOTATIONS:
        rare = rare.str.replace(pattern, becomes)
    return parsed.scatter(rest.arg_true(), _first_reading(rare, _iso_readings((*_ZONED, *_ZONED_MAIL), timezone)))


def _iso_readings(zoned: Sequence[str], timezone: str) -> list[Reading]:
    def read(pattern: str, zone: str | None, text: pl.Series) -> pl.Series:
        return _utc(text.str.to_datetime(pattern, time_unit="us", time_zone=zone, strict=False), timezone)

    return [*(partial(read, each, "UTC") for each in zoned), *(partial(read, each, None) for each in _LOCAL)]


def _first_reading(text: pl.Series, readings: Sequence[Reading]) -> pl.Series:
    """Parse text to microseconds, each value by the first parser that it fits; each parser gets what those before it
    left."""
    parsed = pl.Series(text.name, [None], dtype=pl.Int64).new_from_index(0, len(text))
    left = text.is_not_null()
    for read in readings:
        if not left.any():
            break
        parsed = parsed.scatter(left.arg_true(), read(text.filter(left)))
        left = text.is_not_null() & parsed.is_null()
    return parsed


def _day_text(column: pl.Series) -> pl.Series:
    """Return a date as text, without the midnight of a column of datetimes."""
    if isinstance(column.dtype, pl.Datetime | pl.Date):
        return column.dt.strftime("%Y-%m-%d")
    return _as_text(column).str.strip_chars().str.replace(_MIDNIGHT, "")


def _as_text(column: pl.Series) -> pl.Series:
    """Return text, null where a value is missing; whole numbers without a fraction."""
    if column.dtype == pl.String:
        return column
    return pl.select(pl.when(column.is_not_null()).then(text_of(column))).to_series()


def _utc(column: pl.Series, timezone: str) -> pl.Series:
    zoned = column if isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone else _zoned(column, timezone)
    return zoned.dt.convert_time_zone("UTC").dt.cast_time_unit("us").cast(pl.Int64)


def _zoned(column: pl.Series, timezone: str) -> pl.Series:
    return column.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")


def _epoch(column: pl.Series, unit: str, where: str) -> pl.Series:
    """Convert numbers since 1970 to microseconds; with `auto` each in the unit that puts it between 1973 and 5138."""
    if unit != "auto":
        return _scaled(column, unit)
    if column.dtype.is_float():
        column = _where(column, column.is_finite())
    low, high = column.min(), column.max()
    if low is None or high is None:
        return column.cast(pl.Int64)
    _require_no_dates(column, int(low), int(high), where)  # type: ignore[arg-type]
    if low > 0 and _unit_of(low) == _unit_of(high):  # type: ignore[operator]
        return _scaled(column, _unit_of(high))
    size = column.cast(pl.Float64).abs()
    time = _scaled(column, "ns")
    for name, limit in reversed(_LIMITS):
        time = time.zip_with((size >= limit).fill_null(value=True), _scaled(column, name))
    return time


def _unit_of(number: object) -> str:
    return next((name for name, limit in _LIMITS if number < limit), "ns")  # type: ignore[operator]


def _scaled(column: pl.Series, unit: str) -> pl.Series:
    """Convert numbers of a unit to microseconds."""
    if column.dtype.is_integer():
        whole = column.cast(pl.Int64, strict=False)
        if unit == "ns":
            return whole // 1000
        factor = _FACTORS[unit]
        return _where(whole, whole.is_between(FIRST_US // factor, LAST_US // factor)) * factor
    return (column.cast(pl.Float64).fill_nan(None) * {"ns": 1e-3, **_FACTORS}[unit]).round().cast(pl.Int64, strict=False)


def _require_no_dates(column: pl.Series, low: int, high: int, where: str) -> None:
    """Raise InputError for numbers that look like dates: each of them could be one, and as times since 1970 they'd
    be far from any log."""
    remedy = "where they are seconds since 1970 after all, say `time_unit: s`"
    for digits, format_, parts in _DATE_NUMBERS:
        if low < 10 ** (digits - 1) or high >= 10**digits:
            continue
        rest, fits = column.cast(pl.Int64, strict=False).drop_nulls(), True
        for least, most in parts[:-1]:
            fits = fits and bool((rest % 100).is_between(least, most).all())
            rest = rest // 100
        least, most = parts[-1]
        if fits and bool(rest.is_between(least, most).all()):
            raise InputError(f"{where}: numbers such as {low} look like dates; say `time_format: {format_!r}` ({remedy})")
    first, last = _SPREADSHEET_DAYS
    if first <= low and high <= last:
        raise InputError(
            f"{where}: numbers such as {column.drop_nulls()[0]} look like a spreadsheet's days since 1900; write the column as text,"
            f" such as 2026-01-31 10:00:00 ({remedy})"
        )


def _where(values: pl.Series, fits: pl.Series) -> pl.Series:
    return pl.select(pl.when(fits).then(values)).to_series()
