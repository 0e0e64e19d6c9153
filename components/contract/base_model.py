"""The base class of the dataset file's parts: frozen, with errors for unknown keys that suggest a known one."""

import difflib
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

Location = tuple[int | str, ...]  # keys and indices that lead to a part of the file
Fault = tuple[Location, str]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def refusal(faults: Sequence[Fault]) -> PydanticCustomError:
    """Wrap faults in one error of a validator; their locations are relative to what it validates."""
    return PydanticCustomError("faults", "{text}", {"text": "; ".join(message for _, message in faults), "faults": faults})


class Strict(BaseModel):
    """A frozen mapping of the dataset file."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, value: Any) -> Any:
        if isinstance(value, dict):
            known = [field.alias or name for name, field in cls.model_fields.items()]
            unknown = [key for key in value if key not in known and key not in cls.model_fields]
            if unknown:
                raise refusal([((key,), f"unknown key {key!r}; {closest(str(key), known)}") for key in unknown])
        return value


def closest(name: str, known: Sequence[str]) -> str:
    """Suggest the closest of the known names for an unknown one, or list all of them."""
    alike = [other for other in known if other.casefold().strip() == name.casefold().strip()]
    near = alike or difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known)) or 'none'}"


def seconds(text: Any) -> float:
    """Parse a duration such as `"30m"`, `"1.5h"`, `"7d"` to seconds."""
    if isinstance(text, int | float) and not isinstance(text, bool) and text == 0:
        return 0.0
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw])", str(text).strip())
    if not match:
        raise ValueError(f"expected a duration such as 90s, 30m, 12h, 7d or 2w, got {text!r}")
    return float(match[1]) * _UNITS[match[2]]


def duration_name(length_s: float) -> str:
    """Format seconds as the shortest duration text, for column names: 604800 -> `7d`."""
    for unit in "dhm":
        if length_s >= _UNITS[unit] and length_s % _UNITS[unit] == 0:
            return f"{length_s / _UNITS[unit]:g}{unit}"
    return f"{length_s:g}s".replace(".", "_")


def boundary(value: Any) -> Any:
    """Parse a boundary of a window: `"15%"` to the share 0.15, a date or date-time to UTC."""
    expected = f"expected a share between 0% and 100%, such as 15%, or a date such as 2026-01-31, got {value!r}"
    if isinstance(value, str) and (match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", value.strip())):
        value = float(match[1]) / 100
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(expected) from None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, float) and 0 < value < 1:
        return value
    raise ValueError(expected)


def window_start(value: Any) -> Any:
    """Parse the start of a window: a length before its end such as `"60d"` to a timedelta, a date or date-time to UTC."""
    if isinstance(value, timedelta):
        return value
    try:
        length_s = seconds(value)
    except ValueError:
        moment = boundary(value)
        if isinstance(moment, datetime):
            return moment
        raise ValueError(f"expected a date such as 2026-01-31, or a length such as 60d, got {value!r}") from None
    if not length_s:
        raise ValueError(f"expected a length above 0 such as 60d, got {value!r}")
    return timedelta(seconds=length_s)


def share(value: Any) -> float:
    """Parse a share from 0% to 100%: `"1%"` to 0.01."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", str(value).strip())
    part = float(match[1]) / 100 if match else value
    if not isinstance(part, int | float) or isinstance(part, bool) or not 0 <= part <= 1:
        raise ValueError(f"expected a share from 0% to 100%, such as 1%, got {value!r}")
    return float(part)


# Of numbers only 0 needs no unit.
DURATION_SCHEMA = {
    "type": ["string", "integer"],
    "pattern": r"^\d+(\.\d+)?\s*[smhdw]$",
    "minimum": 0,
    "maximum": 0,
    "examples": ["30m", "7d"],
}
BOUNDARY_SCHEMA = {"type": ["string", "number"], "examples": ["15%", "2026-01-31"]}
START_SCHEMA = {"type": "string", "examples": ["60d", "2026-01-31"]}
SHARE_SCHEMA = {"type": ["string", "number"], "examples": ["1%", "100%"]}

Duration = Annotated[float, BeforeValidator(seconds), WithJsonSchema(DURATION_SCHEMA)]
Boundary = Annotated[float | datetime, BeforeValidator(boundary), WithJsonSchema(BOUNDARY_SCHEMA)]
Start = Annotated[timedelta | datetime, BeforeValidator(window_start), WithJsonSchema(START_SCHEMA)]
Share = Annotated[float, BeforeValidator(share), WithJsonSchema(SHARE_SCHEMA)]
