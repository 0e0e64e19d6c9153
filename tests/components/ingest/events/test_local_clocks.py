"""The hour and weekday of a request in its zone: ingestion's columns are what the service says of one moment, also where clocks change."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.contract.dataset import Dataset
from components.contract.errors import DatasetFileError
from components.contract.load import parse_dataset
from components.contract.values.local_time import DAY_US, HOUR_US, SECOND_US, clock_text, offset_us
from components.ingest.counts import Counts
from components.ingest.events.local_clocks import clock_columns, offsets_us
from tests.components.ingest.generators.plain_shop import SHOP

ZONES = sorted(available_timezones())
CHANGING = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu", "Pacific/Apia", "UTC")
CLOCKS = (
    "  - {name: hour, kind: category, side: context, column: time.hour}\n  - {name: day, kind: id, side: context, column: time.weekday}\n"
)
FIRST, LAST = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * SECOND_US for year in (1970, 2038))


def dataset(zone: str) -> Dataset:
    zones = "  - {name: zone, kind: category, side: context, column: tz}\n"
    return parse_dataset(f"timezone: {zone}\n" + SHOP + zones + CLOCKS)


def columns(moments: list[int], zones: list[str], zone: str) -> tuple[list[tuple[str, ...]], Counts]:
    counts = Counts()
    frame = pl.DataFrame({"time": moments, "zone": zones}, schema={"time": pl.Int64, "zone": pl.String})
    return list(zip(*clock_columns(frame, dataset(zone), counts), strict=True)), counts


MOMENTS = st.one_of(
    st.integers(FIRST, LAST),
    st.integers(-(10**16), 10**17),
    # Hours around the changes of 2026.
    st.sampled_from([(3, 29), (10, 25), (3, 8), (11, 1), (4, 5), (10, 4), (2, 15), (3, 22)]).flatmap(
        lambda day: st.integers(-12 * HOUR_US, 36 * HOUR_US).map(
            lambda after: int(datetime(2026, *day, tzinfo=UTC).timestamp()) * SECOND_US + after
        )
    ),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(MOMENTS, st.one_of(st.sampled_from(CHANGING), st.sampled_from(ZONES), st.just("Mars/Olympus"))), min_size=1))
def test_the_zone_of_each_request_is_read_as_the_service_reads_it(requests: list[tuple[int, str]]) -> None:
    moments, zones = [at for at, _ in requests], [zone for _, zone in requests]
    made, counts = columns(moments, zones, "{feature: zone}")
    assert made == [(clock_text("time.hour", at, zone), clock_text("time.weekday", at, zone)) for at, zone in requests]
    unknown = zones.count("Mars/Olympus")
    assert sum(counts.numbers.values()) == unknown
    assert made.count(("", "")) == unknown


@settings(max_examples=200, deadline=None)
@given(st.lists(MOMENTS, min_size=1), st.sampled_from(CHANGING))
def test_the_zone_of_the_shop_is_read_as_the_service_reads_it(moments: list[int], zone: str) -> None:
    made, counts = columns(moments, [""] * len(moments), zone)
    assert made == [(clock_text("time.hour", at, zone), clock_text("time.weekday", at, zone)) for at in moments]
    assert counts.numbers == {}


@settings(max_examples=300, deadline=None)
@given(MOMENTS, st.sampled_from(ZONES))
def test_a_clock_shows_what_python_shows(moment: int, zone: str) -> None:
    there = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)).astimezone(ZoneInfo(zone))
    assert clock_text("time.hour", moment, zone) == str(there.hour)
    assert clock_text("time.weekday", moment, zone) == str(there.isoweekday())


def test_the_docs_example_by_hand() -> None:
    """Berlin changed to summer time on Sunday 2026-03-29 at 01:00 UTC, New York has Saturday still."""
    at = int(datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC).timestamp()) * SECOND_US
    made, _ = columns([at, at + SECOND_US], ["", ""], "Europe/Berlin")
    assert made == [("1", "7"), ("3", "7")]
    made, _ = columns([at, at], ["America/New_York", ""], "{feature: zone}")
    assert made == [("20", "6"), ("", "")]


@pytest.mark.parametrize("at", range(0, len(ZONES), 7))
def test_no_zone_changes_its_clocks_twice_in_a_day(at: int) -> None:
    """Ingestion asks a zone at the ends of each day: between equal ends there is no change. Sixty days a zone."""
    zone, rng = ZONES[at], np.random.default_rng(at)
    days = np.unique(rng.integers(FIRST // DAY_US, LAST // DAY_US, 60))
    moments = (days[:, None] * DAY_US + np.arange(96) * (HOUR_US // 4)).ravel()
    assert offsets_us(moments, zone).tolist() == [offset_us(int(moment), zone) for moment in moments]


@pytest.mark.parametrize(
    ("zone", "fault"),
    [
        ("Europe/Berln", r"line 1: timezone: unknown timezone 'Europe/Berln'; did you mean 'Europe/Berlin'\?"),
        ("{feature: zome}", r"timezone.feature: 'zome' is no id or category of the context; did you mean 'zone'\?"),
        ("{feature: hour}", r"timezone.feature: 'hour' is no id or category of the context"),
        ("{feature: price}", r"timezone.feature: 'price' is no id or category of the context"),
        ("{column: zone}", "timezone"),
        ("{}", "expected a zone such as Europe/Berlin"),
    ],
)
def test_a_zone_that_nobody_knows_is_a_fault_of_the_file(zone: str, fault: str) -> None:
    with pytest.raises(DatasetFileError, match=fault):
        dataset(zone)
