"""Resolve the parameter `data_until`, which may be the time of the schedule that started a run."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from components.contract.errors import InputError
from components.contract.values.cron import Cron, parse_cron

_SCHEDULED, _IN = "cron ", " in "
_COMPACT = re.compile(r"\d{14}")


def scheduled(cron: Cron, zone: str = "UTC") -> str:
    """Return the text that stands for the latest time of the schedule before the run starts."""
    return f"{_SCHEDULED}{cron.text}{_IN}{zone}"


def resolved(cutoff: str, now: datetime) -> str:
    """Resolve `data_until` to nothing, a date or a date-time.

    Kubeflow Pipelines doesn't pass a run of a pinned version its scheduled time: `[[ScheduledTime]]` reaches its steps
    unresolved. So the cron expression is passed: its latest time started the run, also for a retried step.

    Args:
        cutoff: `cron`, six fields, and, if it isn't UTC, `in` and a time zone; or the fourteen digits that a server may
            put in place of `[[ScheduledTime]]`. Anything else is returned as it is.
        now: the present.

    Raises:
        InputError: it is an invalid schedule, or an unresolved placeholder.
    """
    text = cutoff.strip()
    if text.startswith(_SCHEDULED):
        cron = parse_cron(text.removeprefix(_SCHEDULED).partition(_IN)[0])
        return cron.last(now, zone=zone_of(zone_in(text))).isoformat()
    if "[[" in text:
        raise InputError(
            f"data_until: expected a date or date-time, got {cutoff!r}, which Kubeflow has left as it was; tell the schedule's own time by"
            " its fields, such as 'cron 0 0 3 * * * in UTC' (`shelfrank schedule` does)"
        )
    return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC).isoformat() if _COMPACT.fullmatch(text) else text


def zone_of(name: str) -> ZoneInfo:
    """Look up a time zone by its name.

    Raises:
        InputError: there is none.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise InputError(f"time zone: expected a name such as UTC or Europe/Berlin, got {name!r}") from None


def zone_in(text: str) -> str:
    """Return the name of the time zone in the text of a schedule."""
    return text.partition(_IN)[2].strip() or "UTC"
