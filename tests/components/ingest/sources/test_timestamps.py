"""Times of any notation, unit and zone become microseconds since 1970 in UTC; what can't be read is null, never another time."""

import re
from datetime import UTC, date, datetime, timedelta, timezone
from datetime import time as clock
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from components.contract.errors import InputError
from components.contract.sources import Columns, EventSource
from components.ingest.sources.timestamps import format_hint, joined_times_us, numbers, times_us

NOON = 1_770_033_600_000_000  # 2026-02-02 12:00:00 UTC
SECOND, HOUR = 1_000_000, 3_600_000_000


def us(values: Any, *, zone: str = "UTC", unit: Any = "auto", dtype: Any = None, formats: Any = ()) -> list[int | None]:
    source = EventSource(path="p", columns=Columns(time="at"), timezone=zone, time_unit=unit, time_format=formats)
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
        "2026-02-02 12:00:00 UTC",
        "2026-02-02 12:00:00UTC",
        "2026-02-02 12:00:00 GMT",
        "2026-02-02t12:00:00z",
        "2026-02-02 12:00:00+00",
        "2026-02-02 13:00:00+01",
        "2026-02-02 13:00:00 +01",
        "2026-02-02T13:00:00+0100",
        "2026-02-02 13:00:00.000 +0100",
        "2026-02-02T04:00-0800",
        "2026-02-02 12:00:00,000",
        "2026-02-02T12:00:00,000Z",
        "2026/02/02 12:00:00",
        "2026/2/2 12:00",
        "Mon, 02 Feb 2026 12:00:00 +0000",
        "Mon, 02 Feb 2026 13:00:00 +0100",
        "Mon, 2 Feb 2026 12:00:00 GMT",
        "2 Feb 2026 12:00:00 +0000",
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
        ("2026-02-02 12:00:00,5", 500_000),
        ("2026-02-02 12:00:00,123+01", 123_000 - HOUR),
        ("2026/02/02", -12 * HOUR),
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
    [
        "",
        "yesterday",
        "2026-02-30 12:00:00",
        "2026-13-01",
        "02/02/2026",
        "Tue, 02 Feb 2026 12:00:00 +0000",
        "2026-02-02 12:00:00 CET",
        "2026-02-02 25:00:00",
        "12:00",
        "2026-02-02 12:00:00 XYZ",
        "1e30",
    ],
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


@pytest.mark.parametrize(("unit", "factor"), [("d", 24 * HOUR), ("h", HOUR), ("m", 60 * SECOND), ("s", SECOND), ("ms", 1000), ("us", 1)])
def test_a_given_unit_is_taken_whatever_the_size(unit: str, factor: int) -> None:
    assert us([5, -5], unit=unit) == [5 * factor, -5 * factor]
    assert us(["5", "1.5"], unit=unit) == [5 * factor, round(1.5 * factor)]


def test_nanoseconds_are_cut_to_microseconds() -> None:
    assert us([1_770_033_600_000_000_999, -1], unit="ns") == [NOON, -1]


def test_each_number_is_of_the_unit_that_its_size_tells() -> None:
    """A column may change its unit on its way; what is small stays small."""
    assert us([1_770_033_600, 1_770_033_600_000, 1_770_033_600_000_000, 1_770_033_600_000_000_000]) == [NOON] * 4
    assert us([1_770_033_600.0, 1_770_033_600_000.0, 1_770_033_600_000_000.0, 1.7700336e18]) == [NOON] * 4
    assert us(["1770033600", "1770033600000", "1770033600.5"]) == [NOON, NOON, NOON + SECOND // 2]
    assert us([1_770_033_600, 1_770_033_601, 7, 0, -5]) == [NOON, NOON + SECOND, 7 * SECOND, 0, -5 * SECOND]


def test_numbers_and_text_may_be_mixed() -> None:
    assert us(["1770033600", "2026-02-02T12:00:00Z", "1770033600000", "soon", None]) == [NOON, NOON, NOON, None, None]


@pytest.mark.parametrize("wrong", [1e30, float("nan"), float("inf"), -float("inf"), -1e30])
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


@pytest.mark.parametrize(
    ("text", "formats"),
    [
        ("02/02/2026 12:00", "%d/%m/%Y %H:%M"),
        ("2/2/2026 12:00:00", "%m/%d/%Y %H:%M:%S"),
        ("02.02.26 12:00", ["%d.%m.%y %H:%M"]),
        ("02/02/2026 12:00:00 PM", "%d/%m/%Y %I:%M:%S %p"),
        ("02-Feb-2026 12:00:00.000", "%d-%b-%Y %H:%M:%S.%f"),
        ("02-Feb-2026 12:00:00,000", "%d-%b-%Y %H:%M:%S,%f"),
        ("02/Feb/2026:13:00:00 +0100", "%d/%b/%Y:%H:%M:%S %z"),
        ("02.02.2026 13:00+01", "%d.%m.%Y %H:%M%z"),
        ("2026020212", "%Y%m%d%H"),
        ("26020212", "%y%m%d%H"),
        ("202602021200", "%Y%m%d%H%M"),
        (" 02/02/2026 12 ", "%d/%m/%Y %H"),
        ("02/02/2026 12:00 UTC", "%d/%m/%Y %H:%M UTC"),
    ],
)
def test_a_format_reads_what_it_says(text: str, formats: Any) -> None:
    assert us([text, None, "soon"], formats=formats) == [NOON, None, None]


def test_day_and_month_are_as_the_format_has_them() -> None:
    assert us(["03/02/2026"], formats="%d/%m/%Y") == us(["2026-02-03"])
    assert us(["03/02/2026"], formats="%m/%d/%Y") == us(["2026-03-02"])


def test_formats_are_tried_in_their_order_on_what_is_left() -> None:
    formats = ["%d/%m/%Y %H:%M", "%d/%m/%Y"]
    assert us(["02/02/2026 12:00", "02/02/2026", "2026-02-02"], formats=formats) == [NOON, NOON - 12 * HOUR, None]


def test_numbers_are_read_by_the_format_too() -> None:
    assert us([20260202, None], formats="%Y%m%d") == [NOON - 12 * HOUR, None]
    assert us([20260202.0, None], formats="%Y%m%d") == [NOON - 12 * HOUR, None]


def test_a_format_without_a_zone_is_of_the_zone_of_the_file_unless_it_says_utc() -> None:
    assert us(["02/02/2026 13:00"], zone="Europe/Berlin", formats="%d/%m/%Y %H:%M") == [NOON]
    assert us(["02/02/2026 12:00 UTC"], zone="Europe/Berlin", formats="%d/%m/%Y %H:%M UTC") == [NOON]
    assert us(["02/02/2026 12:00+0000"], zone="Europe/Berlin", formats="%d/%m/%Y %H:%M%z") == [NOON]


@pytest.mark.parametrize("wrong", ["dd/mm/yyyy", "%H:%M", "%s", "%Y-%m-%d %H:%M:%S %Z"])
def test_a_format_that_cannot_name_a_moment_is_refused(wrong: str) -> None:
    with pytest.raises(ValidationError, match="time_format"):
        us(["02/02/2026"], formats=wrong)


def test_a_format_that_polars_cannot_use_is_an_error_in_our_words() -> None:
    with pytest.raises(InputError, match=r"events.csv, column 'at': `time_format` '%Y-%m-%d %M' can't be used"):
        us(["2026-02-02 00"], formats="%Y-%m-%d %M")


@pytest.mark.parametrize(
    ("values", "remedy"),
    [
        ([20141003, 20141004], "%Y%m%d"),
        (["20141003", "20141131"[:6] + "30"], "%Y%m%d"),
        ([20141003.0, None], "%Y%m%d"),
        ([14102100, 14102123], "%y%m%d%H"),
        ([2014102100], "%Y%m%d%H"),
        ([201410210759], "%Y%m%d%H%M"),
        ([20141021075900], "%Y%m%d%H%M%S"),
    ],
)
def test_numbers_that_are_dates_are_no_seconds_of_1970(values: list[Any], remedy: str) -> None:
    with pytest.raises(
        InputError, match=f"numbers such as {str(values[0]).removesuffix('.0')} look like dates; say `time_format: '{remedy}'`"
    ):
        us(values)


def test_days_of_a_spreadsheet_are_no_seconds_of_1970() -> None:
    with pytest.raises(InputError, match=r"numbers such as 45351\.4375 look like a spreadsheet's days since 1900; write"):
        us([45351.4375, 45352.0])


def test_relative_times_are_read_where_the_unit_is_said() -> None:
    assert us([45351, 20141003], unit="s") == [45351 * SECOND, 20141003 * SECOND]
    assert us([0, 45351, 2_671_199]) == [0, 45351 * SECOND, 2_671_199 * SECOND]  # no dates, and no spreadsheet's days


def joined(columns: list[tuple[list[Any], Any]], *, unit: Any = "auto", formats: Any = (), zone: str = "UTC") -> list[int | None]:
    names = [f"c{at}" for at in range(len(columns))]
    source = EventSource(path="p", columns=Columns(time=names), time_unit=unit, time_format=formats, timezone=zone)
    series = [pl.Series(name, values, dtype=dtype) for name, (values, dtype) in zip(names, columns, strict=True)]
    return joined_times_us(series, source, where="events.csv, columns 'c0' and 'c1'").to_list()


TEXT = pl.String


@pytest.mark.parametrize(
    ("columns", "how"),
    [
        ([(["2026-02-02"], TEXT), (["12:00"], TEXT)], {}),
        ([(["2026-02-02 00:00:00.000"], TEXT), (["12:00:00"], TEXT)], {}),
        ([([date(2026, 2, 2)], pl.Date), (["12:00:00.0"], TEXT)], {}),
        ([([datetime(2026, 2, 2)], pl.Datetime("us")), ([clock(12)], pl.Time)], {}),
        ([(["02/02/2026"], TEXT), (["12:00"], TEXT)], {"formats": "%d/%m/%Y %H:%M"}),
        ([([20260202], pl.Int64), ([1200], pl.Int64)], {"formats": "%Y%m%d %H%M"}),
        ([(["2026-02-02"], TEXT), ([12 * 3_600_000], pl.Int64)], {"unit": ["auto", "ms"]}),
        ([(["2026-02-02"], TEXT), (["43200000"], TEXT)], {"unit": ["auto", "ms"]}),
        ([([date(2026, 2, 2)], pl.Date), ([43200.0], pl.Float64)], {"unit": ["auto", "s"]}),
        ([(["02.02.2026"], TEXT), (["12"], TEXT), (["0"], TEXT)], {"unit": ["auto", "h", "s"], "formats": "%d.%m.%Y"}),
        ([([20486], pl.Int64), ([43200], pl.Int64)], {"unit": ["d", "s"]}),
        ([(["2026-02-02"], TEXT), (["13:00"], TEXT)], {"zone": "Europe/Berlin"}),
    ],
)
def test_a_date_and_the_rest_in_columns_of_their_own(columns: list[tuple[list[Any], Any]], how: dict[str, Any]) -> None:
    assert joined(columns, **how) == [NOON]
    with_gaps = [([*values, None, *values], dtype) for values, dtype in columns]
    with_gaps[1][0][2] = None
    assert joined(with_gaps, **how) == [NOON, None, None]


def test_a_number_beside_a_date_needs_a_unit() -> None:
    with pytest.raises(InputError, match=r"expected the text of a clock in column 'c1', got Int64; say the unit of each column"):
        joined([(["2026-02-02"], TEXT), ([43200], pl.Int64)])


@pytest.mark.parametrize(
    ("texts", "hint"),
    [
        (["01/02/2024 10:00", "02/01/2024 11:00"], "several ways: .*`time_format: '%d/%m/%Y %H:%M'` or `time_format: '%m/%d/%Y %H:%M'`"),
        (["13/02/2024", "02/01/2024"], "say `time_format: '%d/%m/%Y'`, if"),
        (["02/13/2024", "02/01/2024"], "say `time_format: '%m/%d/%Y'`, if"),
        (["02/Feb/2026:13:00:00 +0100"], "say `time_format: '%d/%b/%Y:%H:%M:%S %z'`"),
        (["when it rained"], "say `time_format`, such as"),
    ],
)
def test_what_a_time_may_mean_is_proposed_and_never_guessed(texts: list[str], hint: str) -> None:
    assert us(texts) == [None] * len(texts)
    assert re.search(hint, format_hint(pl.Series(texts)))
