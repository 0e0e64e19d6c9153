"""Times are recognised by values that were written in a format, and the right one of several readings is taken or left open."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from components.profiling.samples.time_formats import TimeNotation, recognise_times

NOW_US = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp() * 1e6)
MOMENTS = [datetime(2025, 1, 1, 7, 3, 9, 250_000, tzinfo=UTC) + timedelta(hours=13 * n, minutes=7 * n, seconds=n) for n in range(200)]


def recognised(texts: list[str]) -> TimeNotation | None:
    return recognise_times(pl.Series(texts, dtype=pl.String), now_us=NOW_US)


@pytest.mark.parametrize(
    "written",
    [
        "%d/%m/%Y %H:%M",
        "%m/%d/%Y %H:%M:%S",
        "%m/%d/%Y %I:%M:%S %p",
        "%d.%m.%Y %H:%M",
        "%d-%b-%Y %H:%M:%S",
        "%d %B %Y",
        "%b %d, %Y %H:%M",
        "%Y/%m/%d %H:%M:%S",
        "%d.%m.%Y",
        "%m/%d/%y %H:%M",
        "%a %d %b %Y %H:%M:%S",
        "%d/%m/%Y %H:%M:%S.%f",
        "%d/%m/%Y %H:%M:%S %z",
    ],
)
def test_a_format_is_recognised(written: str) -> None:
    texts = [moment.strftime(written) for moment in MOMENTS]
    found = recognised(texts)
    assert found is not None
    assert found.kind == "format"
    assert [datetime.strptime(text, found.format) for text in texts] == [datetime.strptime(text, written) for text in texts]
    assert found.other_format == ""


def test_numbers_without_leading_zeros_are_the_same_format() -> None:
    found = recognised([f"{m.month}/{m.day}/{m.year} {m.hour}:{m.minute:02d}" for m in MOMENTS])
    assert found is not None
    assert found.format == "%m/%d/%Y %H:%M"


@pytest.mark.parametrize(
    "written", ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S UTC", "%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%d %H:%M:%S%z", "%Y-%m-%d %H:%M"]
)
def test_iso_8601_is_recognised(written: str) -> None:
    found = recognised([moment.strftime(written) for moment in MOMENTS])
    assert found is not None
    assert found.kind == "iso"


@pytest.mark.parametrize(("unit", "factor"), [("s", 1), ("ms", 1_000), ("us", 1_000_000), ("ns", 1_000_000_000)])
def test_numbers_since_1970_have_their_unit(unit: str, factor: int) -> None:
    found = recognised([str(int(moment.timestamp()) * factor) for moment in MOMENTS])
    assert found == TimeNotation("epoch", unit=unit)


@pytest.mark.parametrize("written", ["%Y%m%d", "%y%m%d%H", "%Y%m%d%H%M%S"])
def test_dates_of_digits_are_recognised(written: str) -> None:
    found = recognised([moment.strftime(written) for moment in MOMENTS])
    assert found == TimeNotation("format", format=written)


def test_days_up_to_the_twelfth_that_are_out_of_order_are_left_open() -> None:
    moments = [datetime(2025, 1 + n * 5 % 12, 1 + n * 7 % 12, tzinfo=UTC) for n in range(60)]
    found = recognised([moment.strftime("%d/%m/%Y") for moment in moments])
    assert found is not None
    assert {found.format, found.other_format} == {"%d/%m/%Y", "%m/%d/%Y"}


def test_days_up_to_the_twelfth_in_the_order_of_time_tell_which_is_which() -> None:
    # From the third to the twelfth of each of five months: as month first they would jump back and forth.
    moments = [datetime(2025, month, day, tzinfo=UTC) for month in range(1, 6) for day in range(3, 13)]
    for written in ("%d/%m/%Y", "%m/%d/%Y"):
        found = recognised([moment.strftime(written) for moment in moments])
        assert found is not None
        assert found.format == written
        assert found.other_format == ""


@pytest.mark.parametrize(
    "texts", [["blue mug", "red mug"], ["12", "7", "1003"], ["u1", "u2"], ["2053013555631882655", "2053013555631882656"], ["1.5"]]
)
def test_what_is_no_time_is_none(texts: list[str]) -> None:
    assert recognised(texts * 30) is None
