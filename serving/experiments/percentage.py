"""Shares of traffic in a strict file: `10%` as 0.1."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema


def share(given: Any) -> float:
    """`"10%"` or `0.1` as 0.1.

    Raises:
        ValueError: it is neither a percentage nor a number, or not from 0 % to 100 %.
    """
    value: Any = given
    if isinstance(given, str) and (match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", given.strip())):
        value = float(match[1]) / 100
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise ValueError(f"expected a share from 0% to 100%, such as 10%, got {given!r}")


Share = Annotated[float, BeforeValidator(share), WithJsonSchema({"type": ["string", "number"], "examples": ["10%"]})]


def percent(value: float) -> str:
    """A share as one writes it: 0.125 is `12.5%`."""
    return f"{100 * value:.10g}%"
