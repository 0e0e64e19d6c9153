"""Recognise a column's time format: numbers since 1970 with their unit, ISO 8601, or a strptime format."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Literal

import polars as pl

TimeKind = Literal["epoch", "iso", "format", "clock"]
_SAMPLE = 2000
_ORDERLY = 0.03  # least difference of the shares of ascending steps between two readings
_FIRST = datetime(1985, 1, 1, tzinfo=UTC).timestamp()
_UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
_ISO = re.compile(
    r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d+)?)?)?( ?(Z|z|UTC|[+-]\d\d(:?\d\d)?))?$",
)
_DIGITS = {6: "%y%m%d", 8: ("%Y%m%d", "%y%m%d%H"), 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_TOKEN = re.compile(r"\d+|[A-Za-z]+|[^A-Za-z\d]+")
_CLOCK = re.compile(r"^\d{1,2}:\d\d(:\d\d)?$")


@dataclass(frozen=True)
class TimeNotation:
    """A column's time format.

    `unit`: of numbers. `format`: for strptime, if not ISO 8601. `other_format`: with day and month swapped, where they
    are ambiguous. `share`: of the values that it parses.
    """

    kind: TimeKind
    unit: str = ""
    format: str = ""
    other_format: str = ""
    share: float = 1.0


def recognise_times(values: pl.Series, *, now_us: int) -> TimeNotation | None:
    """Recognise the time format of a column of text; None where it has no times.

    Args:
        values: without missing ones.
        now_us: the present; a later time is no event's.
    """
    texts = values.head(_SAMPLE).to_list()
    if not texts:
        return None
    return _iso(texts) or _epoch(values, now_us) or _digits(texts, now_us) or _clock(texts) or _written(texts)


def _iso(texts: Sequence[str]) -> TimeNotation | None:
    share = sum(bool(_ISO.match(text)) for text in texts) / len(texts)
    return TimeNotation("iso", share=share) if share > 0.9 else None


def _epoch(values: pl.Series, now_us: int) -> TimeNotation | None:
    numbers = values.cast(pl.Float64, strict=False)
    there = numbers.drop_nulls()
    if len(there) < 0.9 * len(values) or not len(there):
        return None
    low, high = float(there.quantile(0.02) or 0), float(there.quantile(0.98) or 0)
    for unit, factor in _UNITS.items():
        if _FIRST * factor <= low and high <= (now_us / 1e6 + 86400) * factor:
            return TimeNotation("epoch", unit=unit, share=len(there) / len(values))
    return None


def _digits(texts: Sequence[str], now_us: int) -> TimeNotation | None:
    (length, number) = Counter(map(len, texts)).most_common(1)[0]
    formats = _DIGITS.get(length, ())
    if number < 0.98 * len(texts) or not all(text.isdecimal() for text in texts if len(text) == length):
        return None
    for each in (formats,) if isinstance(formats, str) else formats:
        read = [_parsed(text, each) for text in texts]
        there = [moment for moment in read if moment is not None]
        # A number of that length may look like a date by chance; all of them do, within fifteen years, only if they are dates.
        plausible = len(there) > 0.99 * len(texts) and max(there).timestamp() <= now_us / 1e6 + 86400
        if plausible and min(there).year >= 1990 and max(there).year - min(there).year <= 15:
            return TimeNotation("format", format=each, share=len(there) / len(texts))
    return None


def _clock(texts: Sequence[str]) -> TimeNotation | None:
    share = sum(bool(_CLOCK.match(text)) for text in texts) / len(texts)
    return TimeNotation("clock", share=share) if share > 0.9 else None


def _written(texts: Sequence[str]) -> TimeNotation | None:
    """Recognise days and months in some order, with or without a clock, by the shape of the values."""
    shapes = Counter(_shape(text) for text in texts)
    shape, number = shapes.most_common(1)[0]
    kept = [_TOKEN.findall(text) for text in texts if _shape(text) == shape]
    # 9:05 and 10:05 differ in length but not in their parts.
    if number < 0.9 * len(texts) or not 3 <= len(kept[0]) <= 22:
        return None
    orders = _orders(kept)
    formats = [each for order in orders if (each := _format(kept, order)) is not None]
    good = [(each, share) for each in formats if (share := _share(texts, each)) > 0.95]
    if not good:
        return None
    if len(good) > 1:
        good = _by_sequence(texts, good)
    return TimeNotation("format", format=good[0][0], other_format=good[1][0] if len(good) > 1 else "", share=good[0][1])


def _shape(text: str) -> str:
    """Replace numbers and words by one letter each; those of four digits by `Y`."""
    return "".join(
        ("Y" if len(token) == 4 else "f" if len(token) > 4 else "n")
        if token.isdigit()
        else ("p" if token.lower() in ("am", "pm") else "w")
        if token.isalpha()
        else token
        for token in _TOKEN.findall(text)
    )


def _orders(rows: Sequence[Sequence[str]]) -> list[str]:
    """List the possible orders of a date's three parts, such as `dmY`; the likelier one first."""
    date = _date_tokens(rows[0])
    if len(date) < 3:
        return []
    columns = [[row[at] for row in rows] for at in date]
    kinds = []
    for column in columns:
        if all(re.match(rf"^({_MONTHS})", value.lower()) for value in column):
            kinds.append("b")
        elif all(len(value) == 4 and value.isdigit() for value in column):
            kinds.append("Y")
        elif all(value.isdigit() for value in column):
            kinds.append("d" if max(map(int, column)) > 12 else "?")
        else:
            return []
    made = []
    for order in ("Ymd", "mdY", "dmY", "mdy", "dmy", "ymd", "bdY", "dbY", "Ybd", "dby"):
        fits = all(
            kind == letter
            or (kind == "?" and letter in "mdy" and ("b" not in kinds or letter != "m"))
            or (kind == "d" and letter == "y" and "Y" not in kinds)
            for kind, letter in zip(kinds, order, strict=True)
        )
        if fits and ("Y" in kinds) == ("Y" in order) and ("b" in kinds) == ("b" in order):
            made.append(order)
    return made


def _date_tokens(row: Sequence[str]) -> list[int]:
    """Return the indices of the three parts of the date: the first ones that aren't a weekday."""
    places = [at for at, token in enumerate(row) if token.isdigit() or (token.isalpha() and token.lower()[:3] in _MONTHS.split("|"))]
    return places[:3]


def _format(rows: Sequence[Sequence[str]], order: str) -> str | None:
    """Return the strptime format of rows whose date has this order; None where the rest is no clock."""
    date = dict(zip(_date_tokens(rows[0]), order, strict=True))
    made, clock = "", 0
    tokens = rows[0]
    twelve = any(token.lower() in ("am", "pm") for token in tokens)
    for at, token in enumerate(tokens):
        before = tokens[at - 1] if at else ""
        if at in date:
            full = date[at] == "b" and any(len(row[at]) > 3 for row in rows)
            made += "%B" if full else f"%{date[at]}"
        elif token.isdigit():
            if before.endswith(("+", "-")) and clock:
                made = made[:-1] + "%z"
                clock = 9
            elif before == "." and clock == 3:
                made = made[:-1] + ".%f"
            elif clock < 3:
                made += ("%I" if twelve else "%H", "%M", "%S")[clock]
                clock += 1
            elif not (clock == 9 and before == ":"):
                return None
            else:
                made = made.removesuffix(":")
        elif token.isalpha():
            if token.lower() in ("am", "pm"):
                made += "%p"
            elif token in ("UTC", "GMT", "Z"):
                made += token
            elif token == "T":
                made += "T"
            elif at == 0 and token[:3].lower() in ("mon", "tue", "wed", "thu", "fri", "sat", "sun"):
                made += "%a" if len(token) == 3 else "%A"
            else:
                return None
        else:
            made += token
    return made


def _share(texts: Sequence[str], each: str) -> float:
    return sum(_parsed(text, each) is not None for text in texts[:500]) / min(len(texts), 500)


def _parsed(text: str, each: str) -> datetime | None:
    try:
        moment = datetime.strptime(text, each)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _by_sequence(texts: Sequence[str], formats: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """Choose the reading under which the rows are in the order of time, as logs mostly are."""
    rising = []
    for each, _ in formats[:2]:
        read = [moment for text in texts if (moment := _parsed(text, each))]
        steps = [later >= earlier for earlier, later in pairwise(read) if later != earlier]
        rising.append(sum(steps) / len(steps) if len(steps) >= 20 else 0.5)
    if max(rising) > 0.97 and max(rising) - min(rising) > _ORDERLY:
        return [formats[rising.index(max(rising))]]
    return list(formats)
