"""Durations and boundaries, as they are written and as they are read."""

import re
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.contract.base_model import boundary, closest, duration_name, seconds


@pytest.mark.parametrize(
    ("text", "length_s"),
    [("90s", 90), ("30m", 1800), ("1.5h", 5400), ("7d", 604_800), ("2w", 1_209_600), (" 12 h ", 43_200), (0, 0)],
)
def test_a_duration_is_read_in_seconds(text: object, length_s: float) -> None:
    assert seconds(text) == length_s


@pytest.mark.parametrize("text", ["", "7", 7, "d", "-1d", "1 month", "1y", True, False, None, "1h30m", float("nan")])
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=re.escape(f"expected a duration such as 90s, 30m, 12h, 7d or 2w, got {text!r}")):
        seconds(text)


@pytest.mark.parametrize(
    ("length_s", "name"), [(604_800, "7d"), (86_400, "1d"), (5400, "90m"), (7200, "2h"), (90, "90s"), (0.5, "0_5s"), (129_600, "36h")]
)
def test_a_duration_is_named_by_its_largest_whole_unit(length_s: float, name: str) -> None:
    assert duration_name(length_s) == name


@given(st.integers(1, 10_000), st.sampled_from("smhdw"))
def test_the_name_of_a_duration_reads_as_the_same(number: int, unit: str) -> None:
    assert seconds(duration_name(seconds(f"{number}{unit}"))) == seconds(f"{number}{unit}")


@pytest.mark.parametrize(
    ("given_boundary", "read"),
    [
        ("15%", 0.15),
        (" 11.6 % ", 0.116),
        (0.2, 0.2),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        (date(2026, 1, 31), datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31 12:30", datetime(2026, 1, 31, 12, 30, tzinfo=UTC)),
        (datetime(2026, 1, 31, 1, tzinfo=timezone(timedelta(hours=2))), datetime(2026, 1, 30, 23, tzinfo=UTC)),
    ],
)
def test_a_boundary_is_a_share_or_a_moment_in_utc(given_boundary: object, read: object) -> None:
    assert boundary(given_boundary) == pytest.approx(read) if isinstance(read, float) else boundary(given_boundary) == read


@pytest.mark.parametrize("given_boundary", ["0%", "100%", "150%", "-5%", 15, 0.0, 1.0, 1.5, "tomorrow", None, True])
def test_what_is_no_boundary_is_refused(given_boundary: object) -> None:
    with pytest.raises(ValueError, match="expected a share between 0% and 100%, such as 15%, or a date such as 2026-01-31"):
        boundary(given_boundary)


def test_the_closest_name_is_told_or_all_of_them() -> None:
    assert closest("prise", ["price", "title"]) == "did you mean 'price'?"
    assert closest("zzz", ["title", "price"]) == "known: price, title"
    assert closest("zzz", []) == "known: none"
