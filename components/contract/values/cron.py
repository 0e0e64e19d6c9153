"""Parse cron schedules as Kubeflow Pipelines does: six fields, seconds first (robfig/cron 1.2)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import islice

from components.contract.errors import InputError

_MONTHS = dict(zip(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], range(1, 13), strict=True))
_WEEKDAYS = dict(zip(["sun", "mon", "tue", "wed", "thu", "fri", "sat"], range(7), strict=True))
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("second", 0, 59, {}),
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 6, _WEEKDAYS),
)
_NAMED = {
    "@yearly": "0 0 0 1 1 *",
    "@annually": "0 0 0 1 1 *",
    "@monthly": "0 0 0 1 * *",
    "@weekly": "0 0 0 * * 0",
    "@daily": "0 0 0 * * *",
    "@midnight": "0 0 0 * * *",
    "@hourly": "0 0 * * * *",
}
_EXAMPLE = "six fields (second, minute, hour, day of the month, month, day of the week) such as '0 0 3 * * *', every day at 03:00"
_DAYS = 366 * 5  # robfig/cron's limit


@dataclass(frozen=True)
class Cron:
    """A cron schedule.

    Attributes:
        text: its six fields.
        seconds: of the day, ascending.
        days: of the month.
        months: from 1.
        weekdays: from 0, Sunday.
        either: a day matches when it is one of `days` or of `weekdays`; else it must be both. As in crontab.
    """

    text: str
    seconds: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool

    def after(self, moment: datetime, count: int, *, zone: tzinfo = UTC) -> list[datetime]:
        """Return the next times after `moment`, in `zone`; fewer where there are none within five years."""
        first = moment.astimezone(zone).date()
        each = (at for ahead in range(_DAYS) for at in self._on(first + timedelta(days=ahead), zone) if at > moment)
        return list(islice(each, count))

    def last(self, moment: datetime, *, zone: tzinfo = UTC) -> datetime:
        """Return the latest time at or before `moment`, in `zone`.

        Raises:
            InputError: there is none within five years.
        """
        first = moment.astimezone(zone).date()
        for back in range(_DAYS):
            past = [at for at in self._on(first - timedelta(days=back), zone) if at <= moment]
            if past:
                return past[-1]
        raise InputError(f"cron {self.text!r} doesn't come round within five years; expected {_EXAMPLE}")

    def _on(self, day: date, zone: tzinfo) -> Iterator[datetime]:
        fits = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        if day.month in self.months and (any(fits) if self.either else all(fits)):
            midnight = datetime.combine(day, time(), zone)
            yield from (midnight + timedelta(seconds=second) for second in self.seconds)  # in local time


def parse_cron(text: str) -> Cron:
    """Read six fields, or one of `@daily` and its like.

    Five fields are taken as crontab's, at second 0. Kubeflow would read them as the first five of its six: `0 3 * * *`
    then means three minutes past every hour.

    Raises:
        InputError: Kubeflow would refuse it, or it never matches.
    """
    fields = _NAMED.get(text.strip().lower(), text).split()
    if len(fields) == 5:
        fields = ["0", *fields]
    if len(fields) != len(_FIELDS):
        raise InputError(f"cron {text!r}: expected {_EXAMPLE}, got {len(fields)} field{'s' * (len(fields) != 1)}")
    try:
        second, minute, hour, days, months, weekdays = (
            _numbers(field, name, least, greatest, names) for field, (name, least, greatest, names) in zip(fields, _FIELDS, strict=True)
        )
    except InputError as error:
        raise InputError(f"cron {text!r}: {error}") from None
    seconds = tuple(3600 * h + 60 * m + s for h in sorted(hour) for m in sorted(minute) for s in sorted(second))
    either = not any(mark in field for field in (fields[3], fields[5]) for mark in "*?")
    cron = Cron(" ".join(fields), seconds, days, months, weekdays, either)
    if not cron.after(datetime(2024, 1, 1, tzinfo=UTC), 1):
        raise InputError(f"cron {text!r} never comes round: no such day is in any year")
    return cron


def _numbers(field: str, name: str, least: int, greatest: int, names: dict[str, int]) -> frozenset[int]:
    values: set[int] = set()
    for part in filter(None, field.split(",")):
        span, _, step = part.partition("/")
        low, dash, high = span.partition("-")
        if low in ("*", "?"):
            start, end = least, greatest
        else:
            start = _number(low, name, least, greatest, names)
            end = _number(high, name, least, greatest, names) if dash else greatest if step else start
        if start > end:
            raise InputError(f"expected the {name} to go from the smaller to the greater, got {part!r}")
        if "/" in part and not (step.isdecimal() and int(step)):
            raise InputError(f"expected a step from 1 on behind the {name}'s /, got {part!r}")
        values.update(range(start, end + 1, int(step or 1)))
    if not values:
        raise InputError(f"expected the {name} to be a number, got {field!r}")
    return frozenset(values)


def _number(text: str, name: str, least: int, greatest: int, names: dict[str, int]) -> int:
    number = names.get(text.lower(), int(text) if text.isdecimal() else -1)
    if not least <= number <= greatest:
        named = f" or {'/'.join(names)}" if names else ""
        raise InputError(f"expected the {name} to be from {least} to {greatest}{named}, got {text!r}")
    return number
