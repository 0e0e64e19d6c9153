"""When retraining is due: every so often, or by cron; times that were missed are one."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from components.contract.values.cron import Cron


@dataclass(frozen=True)
class Every:
    """A time each `seconds` from the beginning on, the beginning included, or from another training on."""

    seconds: float

    def due(self, started: datetime, last: datetime | None, now: datetime) -> datetime | None:
        """Return the latest time that is due, None where none is.

        Args:
            started: the beginning.
            last: the latest time that was due and has been seen to, or of another training since.
            now: the present.
        """
        if last is None:
            return started if started <= now else None
        times = (now - last) // timedelta(seconds=self.seconds)
        return last + times * timedelta(seconds=self.seconds) if times > 0 else None


@dataclass(frozen=True)
class ByCron:
    """The times of a cron schedule in a time zone."""

    cron: Cron
    zone: ZoneInfo

    def due(self, started: datetime, last: datetime | None, now: datetime) -> datetime | None:
        """Return the latest time that is due; see `Every.due`."""
        time = self.cron.last(now, zone=self.zone)
        return time if time > (last or started) else None


Schedule = Every | ByCron
