"""Times of any notation, unit and zone become microseconds since 1970 in UTC; what can't be read is null, never another time."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.contract.errors import InputError
from components.contract.sources import Columns, EventSource
from components.ingest.times import numbers, times_us

NOON = 1_770_033_600_000_000  # 2026-02-02 12:00:00 UTC
SECOND, HOUR = 1_000_000, 3_600_000_000


def us(values: Any, *, zone: str = "UTC", unit: Any = "auto", dtype: Any = None) -> list[int | None]:
    source = EventSource(path="p", columns=Columns(time="at"), timezone=zone, time_unit=unit)
    return times_us(pl.Series("at", values, dtype=dtype), source, where="events.csv, column 'at'").to_list()


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-02 12:00:00",
        "2026-02-02T12:00:00",
        "2026-02-02T12:00:00Z",
        "2026-02-02T12:00:00.000Z",
        "2026-02-02T12:00:00+00:00",
        "2026-02-02T13:00:00+01:00",
        "2026-02-02 13:00:00.000000+01:00",
        "2026-02-02T04:00:00-08:00",
        "2026-02-02T17:45:00+05:45",
        "2026-02-02T12:00",
        "2026-02-02 12:00+00:00",
        " 2026-02-02 12:00:00 ",
        "1770033600",
        "1770033600.0",
        "1770033600000",
        "1770033600000000",
        "1770033600000000000",
        "1.7700336e9",
    ],
)
def test_one_moment_in_many_notations(text: str) -> None:
    assert us([text]) == [NOON]
    assert us([text, None]) == [NOON, None]


@pytest.mark.parametrize(
    ("text", "after_noon_us"),
    [
        ("2026-02-02T12:00:00.5Z", 500_000),
        ("2026-02-02 12:00:00.000001", 1),
        ("2026-02-02T12:00:00.123456789", 123_456),  # what is finer than a microsecond is cut off
        ("2026-02-02", -12 * HOUR),  # a day is its first moment
        ("1770033600.25", 250_000),
        ("1770033600000.5", 500),
    ],
)
def test_fractions_and_days(text: str, after_noon_us: int) -> None:
    assert us([text]) == [NOON + after_noon_us]


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2026-02-30 12:00:00", "2026-13-01", "02/02/2026", "2026-02-02 25:00:00", "12:00", "2026-02-02 12:00:00 XYZ", "1e30"],
)
def test_what_cannot_be_read_is_null(text: str) -> None:
    assert us([text, "2026-02-02 12:00:00"]) == [None, NOON]


def test_notations_may_be_mixed() -> None:
    mixed = ["2026-02-02 12:00:00", "2026-02-02T12:00:00Z", "2026-02-02", "2026-02-02T13:00:00+01:00", None, "soon"]
    assert us(mixed) == [NOON, NOON, NOON - 12 * HOUR, NOON, None, None]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1_770_033_600], pl.Int64),
        ([1_770_033_600], pl.UInt32),
        ([1_770_033_600.0], pl.Float64),
        ([1_770_033_600_000], pl.Int64),
        ([1_770_033_600_000_000], pl.UInt64),
        ([1_770_033_600_000_000_000], pl.Int64),
        ([1_770_033_600_000_000_000.0], pl.Float64),
        ([datetime(2026, 2, 2, 12)], pl.Datetime("ms")),
        ([datetime(2026, 2, 2, 12)], pl.Datetime("ns")),
        ([datetime(2026, 2, 2, 12, tzinfo=UTC)], pl.Datetime("us", "UTC")),
        ([datetime(2026, 2, 2, 13, tzinfo=ZoneInfo("Europe/Berlin"))], pl.Datetime("us", "Europe/Berlin")),
    ],
)
def test_one_moment_in_many_types(values: list[Any], dtype: Any) -> None:
    assert us(values, dtype=dtype) == [NOON]
    assert us([*values, None], dtype=dtype) == [NOON, None]


def test_a_date_is_its_first_moment_in_the_zone_of_the_file() -> None:
    assert us([date(2026, 2, 2)]) == [NOON - 12 * HOUR]
    assert us([date(2026, 2, 2)], zone="Europe/Berlin") == [NOON - 13 * HOUR]
    assert us(["2026-02-02"], zone="Europe/Berlin") == [NOON - 13 * HOUR]


@pytest.mark.parametrize(("unit", "factor"), [("s", SECOND), ("ms", 1000), ("us", 1)])
def test_a_given_unit_is_taken_whatever_the_size(unit: str, factor: int) -> None:
    assert us([5, -5], unit=unit) == [5 * factor, -5 * factor]
    assert us(["5", "1.5"], unit=unit) == [5 * factor, round(1.5 * factor)]


def test_nanoseconds_are_cut_to_microseconds() -> None:
    assert us([1_770_033_600_000_000_999, -1], unit="ns") == [NOON, -1]


def test_the_unit_is_taken_from_the_middle_of_a_column() -> None:
    """One odd time doesn't turn the rest into another unit: it is far from them, or beyond what a calendar has."""
    assert us([1_770_033_600, 1_770_033_601, 7]) == [NOON, NOON + SECOND, 7 * SECOND]
    assert us([1_770_033_600, 1_770_033_601, 1_770_033_600_000]) == [NOON, NOON + SECOND, None]


@pytest.mark.parametrize("wrong", [10.0**15, float("nan"), float("inf"), -(10.0**15)])
def test_numbers_that_are_no_time_are_null(wrong: float) -> None:
    assert us([wrong, 1_770_033_600.0, 1_770_033_600.0]) == [None, NOON, NOON]


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2026-02-02 13:00:00", "2026-02-02 12:00:00"),  # winter
        ("2026-07-02 13:00:00", "2026-07-02 11:00:00"),  # summer
        ("2026-03-29 01:59:59", "2026-03-29 00:59:59"),
        ("2026-03-29 03:00:00", "2026-03-29 01:00:00"),  # the second after 01:59:59
        ("2026-10-25 02:30:00", "2026-10-25 00:30:00"),  # happens twice: the earlier
        ("2026-10-25 03:00:00", "2026-10-25 02:00:00"),
    ],
)
def test_a_time_that_names_no_zone_is_of_the_zone_of_the_file(local: str, utc: str) -> None:
    assert us([local], zone="Europe/Berlin") == us([utc])
    typed = [datetime.fromisoformat(local)]
    assert us(typed, zone="Europe/Berlin", dtype=pl.Datetime("us")) == us([utc])


def test_an_hour_that_the_clocks_skip_is_null() -> None:
    skipped = "2026-03-29 02:30:00"
    assert us([skipped, "2026-02-02 13:00:00"], zone="Europe/Berlin") == [None, NOON]
    assert us([datetime.fromisoformat(skipped)], zone="Europe/Berlin", dtype=pl.Datetime("us")) == [None]


def test_a_time_that_names_its_zone_does_not_ask_the_file() -> None:
    assert us(["2026-02-02T12:00:00Z", "2026-02-02 13:00:00+01:00"], zone="Asia/Tokyo") == [NOON, NOON]
    assert us([1_770_033_600], zone="Asia/Tokyo") == [NOON]


@settings(max_examples=50, deadline=None)
@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)), st.integers(-14 * 60, 14 * 60))
def test_every_moment_is_read_back_as_python_reads_it(moment: datetime, offset_minutes: int) -> None:
    there = moment.replace(tzinfo=timezone(timedelta(minutes=offset_minutes)))
    wanted = [(each - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) for each in (moment.replace(tzinfo=UTC), there)]
    assert us([moment.isoformat(" "), there.isoformat()]) == wanted
    assert us([moment.isoformat(), there.isoformat(" ")]) == wanted


@pytest.mark.parametrize(("values", "dtype"), [([True], pl.Boolean), ([[1]], pl.List(pl.Int64)), ([timedelta(1)], pl.Duration)])
def test_another_type_is_an_error_that_says_what_can_be_read(values: list[Any], dtype: Any) -> None:
    with pytest.raises(InputError, match=r"events.csv, column 'at': expected times, got .*; numbers since 1970, ISO 8601 text, dates and"):
        us(values, dtype=dtype)


def test_text_is_numbers_whole_ones_where_all_are() -> None:
    assert numbers(pl.Series(["1", " 2 ", None, "x"])).to_list() == [1, 2, None, None]
    assert numbers(pl.Series(["1", "2.5", "x"])).to_list() == [1.0, 2.5, None]
    assert numbers(pl.Series(["9007199254740993"])).to_list() == [9_007_199_254_740_993]  # a float would end in 2
