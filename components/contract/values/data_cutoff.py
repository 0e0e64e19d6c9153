"""A schedule's own time as the end of the data, in the parameter `data_until`."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from components.contract.errors import InputError
from components.contract.values.cron import Cron, parse_cron

_SCHEDULED, _IN = "cron ", " in "
_COMPACT = re.compile(r"\d{14}")


def scheduled(cron: Cron, zone: str = "UTC") -> str:
    """The text that means: the latest time, before the run asks, that the schedule came round."""
    return f"{_SCHEDULED}{cron.text}{_IN}{zone}"


def resolved(told: str, now: datetime) -> str:
    """`data_until` as nothing, a date or a date-time.

    Kubeflow Pipelines doesn't tell a run of a pinned version when it was due: `[[ScheduledTime]]` reaches its steps as it stands. Its
    cron can be told in its place: the latest time that it came round is the one that started the run; so it is for a step that is
    tried again, up to the next one.

    Args:
        told: `cron`, six fields, and, if it isn't UTC, `in` and a time zone; or the fourteen digits that a server might put in the place
            of `[[ScheduledTime]]`. Anything else stays as it is.
        now: when the run asks.

    Raises:
        InputError: it is a schedule that can't be read, or a placeholder that nobody has filled.
    """
    text = told.strip()
    if text.startswith(_SCHEDULED):
        cron = parse_cron(text.removeprefix(_SCHEDULED).partition(_IN)[0])
        return cron.last(now, zone=zone_of(zone_in(text))).isoformat()
    if "[[" in text:
        raise InputError(
            f"data_until: expected a date or date-time, got {told!r}, which Kubeflow has left as it was; tell the schedule's own time by"
            " its fields, such as 'cron 0 0 3 * * * in UTC' (`shelfrank schedule` does)"
        )
    return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC).isoformat() if _COMPACT.fullmatch(text) else text


def zone_of(name: str) -> ZoneInfo:
    """A time zone by its name.

    Raises:
        InputError: there is none.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise InputError(f"time zone: expected a name such as UTC or Europe/Berlin, got {name!r}") from None


def zone_in(told: str) -> str:
    """Name of the time zone that the text of a schedule is in."""
    return told.partition(_IN)[2].strip() or "UTC"
