"""Where the data of a run ends: the text of the parameter `data_until`."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from components.contract.cron import Cron, parse_cron
from components.contract.errors import InputError

_SCHEDULED = "cron "
_IN = " in "
_COMPACT = re.compile(r"\d{14}")
_EXPECTED = "expected nothing, an ISO date (2026-11-28), date-time (2026-11-28T03:00:00Z) or a schedule (cron 0 0 3 * * * in UTC)"


def scheduled(cron: Cron, zone: str = "UTC") -> str:
    """The text that means: the schedule's latest time before the run."""
    return f"{_SCHEDULED}{cron.text}{_IN}{zone}"


def until(told: str, now: datetime) -> datetime | None:
    """The moment at which the data ends; None where the dataset file is to say.

    A schedule can't tell a pipeline its own time: Kubeflow Pipelines leaves `[[ScheduledTime]]` as it stands in runs of a pinned
    version. Its cron can: the latest time that it came round is the one that started the run, and so it is for a step that is tried
    again, up to the next one.

    Args:
        told: nothing, an ISO date (its beginning) or date-time (UTC where no offset is given), the fourteen digits of Kubeflow's own
            `[[ScheduledTime]]`, or `cron`, six fields, `in` and a time zone (if left out: UTC).
        now: when the run asks.

    Raises:
        InputError: it is none of these.
    """
    text = told.strip()
    if not text:
        return None
    if text.startswith(_SCHEDULED):
        return parse_cron(text.removeprefix(_SCHEDULED).partition(_IN)[0]).last(now, zone=zone_of(zone_in(text)))
    try:
        moment = datetime.strptime(text, "%Y%m%d%H%M%S") if _COMPACT.fullmatch(text) else datetime.fromisoformat(text)
    except ValueError:
        left = "; Kubeflow left the [[...]] in it as it stood" if "[[" in text else ""
        raise InputError(f"data_until: {_EXPECTED}, got {told!r}{left}") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


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
