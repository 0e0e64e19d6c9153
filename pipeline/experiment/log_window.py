"""The times of an experiment in the log, and the days they fall on."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import polars as pl

from components.contract.values.local_time import DAY_US

_END_US = 2**62


@dataclass(frozen=True, kw_only=True)
class LogWindow:
    """Microseconds since 1970: the time before the experiment, its first moment, and the moment after its last."""

    history_us: int
    start_us: int
    end_us: int
    zone: str

    def days(self, time_us: pl.Expr) -> pl.Expr:
        """Return the days since 1970, in the zone, that times fall on."""
        if self.zone == "UTC":
            return (time_us // DAY_US).cast(pl.Int32)
        moment = time_us.cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(self.zone)
        return moment.dt.date().cast(pl.Int32)

    @property
    def last_day(self) -> int:
        """The last day of a window that ends, since 1970."""
        return self.day(self.end_us - 1)

    def day(self, time_us: int) -> int:
        """Return the day since 1970, in the zone, that a time falls on."""
        return (datetime.fromtimestamp(time_us / 1e6, UTC).astimezone(ZoneInfo(self.zone)).date() - date(1970, 1, 1)).days


def log_window(start: date, until: date | None, *, pre_period_s: float, zone: str) -> LogWindow:
    """Return the window from a first day to before another, in a time zone."""
    start_us = _midnight_us(start, zone)
    end_us = _END_US if until is None else _midnight_us(until, zone)
    return LogWindow(history_us=start_us - round(pre_period_s * 1e6), start_us=start_us, end_us=end_us, zone=zone)


def _midnight_us(day: date, zone: str) -> int:
    return round(datetime.combine(day, time(), ZoneInfo(zone)).timestamp() * 1e6)
