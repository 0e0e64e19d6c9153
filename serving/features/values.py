"""A single value as ingestion's cleaning leaves one in a column of its type: text, a number, or a vector.

Ingestion cleans whole columns with polars; the service has one request and no polars. A test compares the two on all that there is.
"""

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from components.contract.errors import InputError
from components.contract.features import TEXT_LIMIT, GivenFeature, Number, Vector

# What Unicode calls white space; Python's `strip` takes the separators \x1c to \x1f for it too.
_SPACE = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
_WHOLE = 2.0**53  # below it a float without digits behind the point is a whole number


def texts(feature: GivenFeature, values: Sequence[Any]) -> NDArray[np.object_]:
    """(L,) UTF-8 of each value; b"" where it is missing (None, NaN).

    Raises:
        InputError: a value is neither text, number, true or false, nor a list of them.
    """
    separator = getattr(feature, "separator", " ")
    out = np.empty(len(values), np.object_)
    out[:] = [_text(feature.name, value, separator)[:TEXT_LIMIT].encode() for value in values]
    return out


def numbers(feature: Number, values: Sequence[Any]) -> NDArray[np.float32]:
    """(L,) float32; NaN where a value is missing, isn't a number, is infinite, or lies below the feature's minimum.

    Raises:
        InputError: a value is neither a number, nor text, nor true or false.
    """
    given = np.array(values) if all(isinstance(value, int | float) for value in values) else None
    with np.errstate(over="ignore"):
        if given is not None and given.dtype != np.object_:
            typed = given.astype(np.float32)
        else:
            typed = np.array([_number(feature.name, value) for value in values], np.float32)
    typed[np.isinf(typed)] = np.nan
    if feature.minimum is not None:
        typed[typed < feature.minimum] = np.nan
    return typed


def vectors(feature: Vector, values: Sequence[Any]) -> NDArray[np.float32]:
    """(L, size) float32; a value or a number in it that is None is NaN.

    Raises:
        InputError: a value is no list of `size` numbers.
    """
    out = np.full((len(values), feature.size), np.nan, np.float32)
    for row, value in enumerate(values):
        if value is None:
            continue
        whole = isinstance(value, list | tuple) and len(value) == feature.size
        if not whole or not all(each is None or isinstance(each, int | float) for each in value):
            raise InputError(f"{feature.name}: expected a list of {feature.size} numbers, got {_shown(value)}; correct it, or leave it out")
        with np.errstate(over="ignore"):
            out[row] = [math.nan if each is None else each for each in value]
    return out


def _text(name: str, value: Any, separator: str) -> str:
    if type(value) is str:
        return value
    if isinstance(value, list | tuple):
        return separator.join(_plain(name, each) for each in value if each is not None)
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        if abs(value) < _WHOLE and value == math.floor(value):
            return str(int(value))  # an id that met a missing value on its way is a float
    return "" if value is None else _plain(name, value)


def _plain(name: str, value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return _digits(value)
        case str():
            return str(value)
    raise InputError(f"{name}: expected text, a number, true or false, or a list of them, got {_shown(value)}; send one of these")


def _digits(value: float) -> str:
    """A float as polars writes it: like Python, but for small ones."""
    if math.isnan(value):
        return "NaN"
    written = repr(value)
    return f"{Decimal(written):f}" if written.endswith("e-05") else written.replace("e-0", "e-")


def _number(name: str, value: Any) -> float:
    match value:
        case None:
            return math.nan
        case bool() | float():
            return value
        case int():
            fits = -(2**63) <= value < 2**64
            # Straight to float32: a float64 in between would round twice.
            return float(np.asarray(value).astype(np.float32)) if fits else math.nan
        case str():
            try:
                return float(pa.array([value.strip(_SPACE)]).cast(pa.float32())[0].as_py())
            except pa.ArrowInvalid:
                return math.nan
    raise InputError(f"{name}: expected a number, or text that is one, got {_shown(value)}; send one, or leave it out")


def _shown(value: Any) -> str:
    return f"{type(value).__name__} {str(value)[:80]!r}"
