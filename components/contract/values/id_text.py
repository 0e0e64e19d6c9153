"""Normalize ids to text: one rule for columns of a log and for values in requests to the service.

Ids that went through a spreadsheet or a frame with gaps are numbers: `108`, `108.0` and `1.08e2` are the id `108`.

- Blanks around it don't count.
- A fraction of nothing but zeros is dropped; leading zeros stay: `007.0` is `007`, which isn't `7`.
- Exponents are resolved where only a printed float has them: one digit before the point and a point (`1.08e2`, `1.0E7`), or a sign before
  the exponent (`1e+05`). `12e5` and `1e5` are text, as hashes and product codes have it.
- All other text is the id as it stands: `+49`, `1.5`, `a.0`.

A float64 holds whole numbers exactly only below 2^53. A rounded float can't be an id: `1.23457E+15` may have been any
of ten thousand million ids.
"""

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from components.contract.errors import InputError

# Unicode's white space; Python's `strip` also strips the separators \x1c to \x1f.
BLANKS = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
EXACT_BELOW = 2**53  # whole numbers that a float64 represents exactly
EXACT_BELOW_SINGLE = 2**24  # and a float32
# Printed with six digits (a spreadsheet, "%g"): zeros may replace lost digits.
_ROUNDED_DIGITS = 5

_FRACTION = re.compile(r"(-?[0-9]+)\.0*")
_EXPONENT = re.compile(r"(-?)([0-9])(?:(\.)([0-9]{0,99}))?[eE]([+-]?)([0-9]{1,3})")


def id_text(text: str) -> str:
    """Normalize an id's text."""
    if text.isalnum():  # no blank, point or sign
        return text
    text = text.strip(BLANKS)
    if "." not in text and "+" not in text:
        return text
    if match := _FRACTION.fullmatch(text):
        return text if _is_inexact(match[1]) else _unsigned_zero(match[1])
    scientific = _Scientific.parse(text)
    if scientific is None or scientific.whole is None or scientific.rounded:
        return text
    return str(scientific.whole)


def id_of(value: Any) -> Any:
    """Convert a JSON value to an id: numbers and text to text, anything else is returned as it is.

    Raises:
        InputError: a float that may have been rounded.
    """
    if type(value) is str:
        return id_text(value)
    if isinstance(value, float) and math.isfinite(value):
        if abs(value) >= EXACT_BELOW:
            raise InputError(
                f"expected an id, got the float {value!r}: from 2^53 on ids that differ become one; send it as text, or as a whole number"
            )
        return str(int(value)) if value == math.floor(value) else float_text(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def float_text(value: float) -> str:
    """Format a float as polars does: like Python, except small ones."""
    if math.isnan(value):
        return "NaN"
    written = repr(value)
    return f"{Decimal(written):f}" if written.endswith("e-05") else written.replace("e-0", "e-")


def is_rounded(text: str) -> bool:
    """Return whether a text, without blanks around, is a rounded float, whose id is lost."""
    if match := _FRACTION.fullmatch(text):
        return _is_inexact(match[1])
    scientific = _Scientific.parse(text)
    return scientific is not None and scientific.rounded


@dataclass(frozen=True)
class _Scientific:
    """A printed float with an exponent: `whole` is its value, None where that has a fraction."""

    whole: int | None
    rounded: bool

    @staticmethod
    def parse(text: str) -> "_Scientific | None":
        match = _EXPONENT.fullmatch(text)
        if match is None or not (match[3] or match[5] == "+"):
            return None
        digits = match[4] or ""
        mantissa, shift = int(match[1] + match[2] + digits), int(match[5] + match[6]) - len(digits)
        if shift < 0:
            whole, rest = divmod(mantissa, 10**-shift)
            return _Scientific(None if rest else whole, rounded=not rest and abs(whole) >= EXACT_BELOW)
        whole = mantissa * 10**shift
        cut_off = match[5] == "+" and len(digits) >= _ROUNDED_DIGITS and shift > 0
        return _Scientific(whole, rounded=cut_off or abs(whole) >= EXACT_BELOW)


def _is_inexact(whole: str) -> bool:
    """Return whether digits of any length make a number that a float64 doesn't represent exactly."""
    digits = whole.lstrip("-0")
    return len(digits) > len(str(EXACT_BELOW)) or int(digits or "0") >= EXACT_BELOW


def _unsigned_zero(whole: str) -> str:
    """Turn a float's negative zero into zero."""
    return whole[1:] if whole.startswith("-") and not whole.strip("-0") else whole
