"""Parse shares of traffic in a configuration file: `10%` as 0.1."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema


def share(raw: Any) -> float:
    """Parse `"10%"` or `0.1` as 0.1.

    Raises:
        ValueError: it is neither a percentage nor a number, or not from 0 % to 100 %.
    """
    value: Any = raw
    if isinstance(raw, str) and (match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", raw.strip())):
        value = float(match[1]) / 100
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise ValueError(f"expected a share from 0% to 100%, such as 10%, got {raw!r}")


Share = Annotated[float, BeforeValidator(share), WithJsonSchema({"type": ["string", "number"], "examples": ["10%"]})]


def percent(value: float) -> str:
    """Format a share as a percentage: 0.125 as `12.5%`."""
    return f"{100 * value:.10g}%"
