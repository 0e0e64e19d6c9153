"""When an event may have happened."""

import pytest

from components.contract.errors import InputError
from components.contract.values.event_time import AHEAD_US, EARLIEST_US, event_time_us

NOW_US = 1_770_000_000_000_000


def test_a_time_of_the_past_is_its_own() -> None:
    for time_us in (EARLIEST_US, NOW_US - 1, NOW_US):
        assert event_time_us(time_us, now_us=NOW_US) == time_us


def test_a_clock_ahead_by_a_little_is_now() -> None:
    assert event_time_us(NOW_US + 1, now_us=NOW_US) == NOW_US
    assert event_time_us(NOW_US + AHEAD_US, now_us=NOW_US) == NOW_US


@pytest.mark.parametrize(
    ("time_us", "remedy"),
    [
        (NOW_US // 1_000_000, "seconds, so multiply by 1,000,000"),
        (NOW_US // 1_000, "milliseconds, so multiply by 1,000"),
        (NOW_US * 1_000, "nanoseconds, so divide by 1,000"),
        (0, "correct it, or leave it out"),
        (-1, "correct it, or leave it out"),
        (EARLIEST_US - 1, "correct it, or leave it out"),
        (NOW_US + AHEAD_US + 1, "correct the clock"),
        (1 << 62, "correct the clock"),
    ],
)
def test_any_other_is_refused_by_its_likely_unit(time_us: int, remedy: str) -> None:
    with pytest.raises(InputError, match=remedy):
        event_time_us(time_us, now_us=NOW_US)
