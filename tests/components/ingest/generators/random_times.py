"""Moments as logs write them."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.components.ingest.generators.random_logs import Row

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MS = 86_400_000
_DIGITS = {"s": 0, "ms": 3, "us": 6}
# Digits after the second that a notation can hold, where it isn't six.
_HOLDS = {"s": 0, "s float": 0, "month first": 0, "compact": 0, "mail": 0, "date and s": 0, "date and ms": 3, "ms": 3}


@dataclass(frozen=True)
class Times:
    """How times are written: `write` gives the columns of a row, `columns` what the role says, `keys` the source's keys."""

    name: str
    values: Callable[[datetime], list[Any]]
    keys: Row = field(default_factory=dict)
    parts: int = 1

    def columns(self, name: str) -> list[str]:
        return [name] if self.parts == 1 else [f"{name} {part}" for part in range(self.parts)]

    def write(self, moment: datetime, name: str) -> Iterator[tuple[str, Any]]:
        yield from zip(self.columns(name), self.values(moment), strict=True)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def random_times(resolution: str, draw: random.Random, *, one_column: bool = False) -> Times:
    """A notation that can hold the resolution."""
    digits = _DIGITS[resolution]
    new_york = ZoneInfo("America/New_York")
    by_row = random.Random(draw.random())
    fraction = "%.f" if digits else ""

    def text(moment: datetime, form: str, mark: str = ".") -> str:
        return f"{moment:{form}}" + (f"{mark}{moment.microsecond // 10 ** (6 - digits):0{digits}d}" if digits else "")

    def later(moment: datetime, minutes: int) -> datetime:
        return moment + timedelta(minutes=minutes)

    def of_some_unit(moment: datetime) -> int:
        return _micros(moment) // by_row.choice([size for size, holds in ((1, 6), (1000, 3), (1_000_000, 0)) if holds >= digits])

    iso, day_first, dots = "%Y-%m-%d %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%Y.%m.%d %H:%M:%S"
    kinds = [
        Times("moment", lambda moment: [moment]),
        Times("us", lambda moment: [_micros(moment)]),
        Times("ns", lambda moment: [_micros(moment) * 1000]),
        Times("some unit", lambda moment: [of_some_unit(moment)]),
        Times("iso Z", lambda moment: [text(moment, "%Y-%m-%dT%H:%M:%S") + "Z"]),
        Times("iso z", lambda moment: [text(moment, "%Y-%m-%dT%H:%M:%S") + "z"]),
        Times("iso +00", lambda moment: [text(moment, iso) + "+00"]),
        Times("iso +0100", lambda moment: [text(later(moment, 60), iso) + "+0100"]),
        Times("iso -05:30", lambda moment: [text(later(moment, -330), "%Y-%m-%dT%H:%M:%S") + "-05:30"]),
        Times("some offset", lambda moment: [f"{text(later(moment, 60 * (hours := by_row.randrange(10))), iso)}+0{hours}:00"]),
        Times("UTC", lambda moment: [text(moment, iso) + " UTC"]),
        Times("comma", lambda moment: [text(moment, iso, ",")]),
        Times("slashes", lambda moment: [text(moment, "%Y/%m/%d %H:%M:%S")]),
        Times("zone", lambda moment: [text(moment.astimezone(new_york), iso)], {"timezone": "America/New_York"}),
        Times("mail", lambda moment: [f"{moment:%a, %d %b %Y %H:%M:%S} +0000"]),
        Times("two columns", lambda moment: [f"{moment:%Y-%m-%d}", text(moment, "%H:%M:%S")], parts=2),
        Times(
            "two columns of a format",
            lambda moment: [f"{moment:%d/%m/%Y}", text(moment, "%H:%M:%S")],
            {"time_format": f"{day_first}{fraction}"},
            parts=2,
        ),
        Times(
            "date and ms", lambda moment: [f"{moment:%Y-%m-%d}", _micros(moment) // 1000 % _DAY_MS], {"time_unit": ["auto", "ms"]}, parts=2
        ),
        Times(
            "date and s", lambda moment: [f"{moment:%Y-%m-%d}", _micros(moment) // 10**6 % 86_400], {"time_unit": ["auto", "s"]}, parts=2
        ),
        Times("day first", lambda moment: [text(moment, day_first)], {"time_format": f"{day_first}{fraction}"}),
        Times(
            "two formats",
            lambda moment: [text(moment, by_row.choice([day_first, dots]))],
            {"time_format": [f"{day_first}{fraction}", f"{dots}{fraction}"]},
        ),
        Times("s", lambda moment: [_micros(moment) // 1_000_000]),
        Times("s float", lambda moment: [f"{_micros(moment) // 1_000_000}.0"]),
        Times("ms", lambda moment: [_micros(moment) // 1000], {"time_unit": "ms"}),
        Times("month first", lambda moment: [f"{moment:%m/%d/%Y %I:%M:%S %p}"], {"time_format": "%m/%d/%Y %I:%M:%S %p"}),
        Times("compact", lambda moment: [int(f"{moment:%Y%m%d%H%M%S}")], {"time_format": "%Y%m%d%H%M%S"}),
    ]
    return draw.choice([kind for kind in kinds if _HOLDS.get(kind.name, 6) >= digits and (kind.parts == 1 or not one_column)])
