"""Compute the local hour and weekday of a moment in a time zone."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from components.contract.base_model import closest

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
SECOND_US = 1_000_000
CLOCK_COLUMNS = {"time.hour": 23, "time.weekday": 7}  # to the greatest value
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def is_zone(name: str) -> bool:
    """Return whether it is the name of a zone of the IANA database."""
    return name in _zones()


def zone_fault(name: str) -> str | None:
    """Word what is wrong with the name of a zone; None where it is valid."""
    return None if is_zone(name) else f"unknown timezone {name!r}; {closest(name, sorted(_zones()))[:200]}"


def clock_text(key: str, time_us: int, zone: str) -> str:
    """Return `time.hour` (0 to 23) or `time.weekday` (Monday is 1) of a moment as text; "" for an unknown zone.

    Ingestion and service both use Python's zones, so they agree whatever release of the database other libraries have.
    """
    if not is_zone(zone):
        return ""
    return str(clock_value(key, time_us + (0 if zone == "UTC" else offset_us(time_us, zone))))


def clock_value(key: str, local_us: Any) -> Any:
    """The same as a number, of a local time in microseconds or an array of them."""
    return local_us // HOUR_US % 24 if key == "time.hour" else (local_us // DAY_US + 3) % 7 + 1  # 1970 began on a Thursday


def moment(time_us: int) -> datetime:
    """Return a time in microseconds since 1970 as a moment, UTC, exactly."""
    return _EPOCH + timedelta(microseconds=time_us)


def offset_us(time_us: int, zone: str) -> int:
    """Return a zone's UTC offset at a moment, in microseconds; 0 at the ends of the calendar."""
    try:
        offset = (_EPOCH + timedelta(seconds=time_us // SECOND_US)).astimezone(ZoneInfo(zone)).utcoffset()
    except OverflowError:
        return 0
    return 0 if offset is None else offset // timedelta(microseconds=1)


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
