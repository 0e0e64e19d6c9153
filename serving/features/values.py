"""Clean a single value as ingestion cleans a column of its type: text, a number, or a vector.

Ingestion cleans whole columns with polars; the service has one request and no polars. A test compares the two.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from components.contract.errors import InputError
from components.contract.features import TEXT_LIMIT, Category, GivenFeature, Id, Number, Vector
from components.contract.values.id_text import BLANKS, EXACT_BELOW, float_text, id_of, id_text
from components.contract.values.null_words import is_null_word, number_words


def texts(feature: GivenFeature, values: Sequence[Any], *, words: frozenset[str] = frozenset()) -> NDArray[np.object_]:
    """Return each value as UTF-8, (L,); b"" where it is missing (None, NaN, blanks, one of the null words).

    Raises:
        InputError: a value is neither text, number, true or false, nor a list of them; or an id is an inexact float.
    """
    separator = getattr(feature, "separator", " ")
    as_id = isinstance(feature, Id | Category)
    out = np.empty(len(values), np.object_)
    for index, value in enumerate(values):
        if is_missing(value, words):
            out[index] = b""
        elif type(value) is str:
            out[index] = _bytes(feature.name, (id_text(value) if as_id else value)[:TEXT_LIMIT])
        else:
            text = id_of(value) if isinstance(feature, Id) and type(value) is float and math.isfinite(value) else value
            out[index] = _bytes(feature.name, _text(feature.name, text, separator)[:TEXT_LIMIT])
    return out


def numbers(feature: Number, values: Sequence[Any], *, words: frozenset[str] = frozenset()) -> NDArray[np.float32]:
    """Return values as float32, (L,); NaN where one is missing, a null word, no number, infinite, or below the minimum.

    Raises:
        InputError: a value is neither a number, nor text, nor true or false.
    """
    array = np.array(values) if all(isinstance(value, int | float) for value in values) else None  # of objects where one overflows
    with np.errstate(over="ignore"):
        if array is not None and array.dtype != np.object_:
            typed = array.astype(np.float32)
        else:
            typed = np.array([_number(feature.name, value) for value in values], np.float32)
    typed[np.isinf(typed)] = np.nan
    if feature.minimum is not None:
        typed[typed < feature.minimum] = np.nan
    if number_words(words):  # other words aren't numbers anyway
        typed[[is_missing(value, words) for value in values]] = np.nan
    return typed


def is_missing(value: Any, words: frozenset[str]) -> bool:
    """Return whether a single value is missing by a source's null words."""
    if type(value) is str:
        return is_null_word(value, words)
    return isinstance(value, int | float) and not isinstance(value, bool) and value in number_words(words)


def vectors(feature: Vector, values: Sequence[Any]) -> NDArray[np.float32]:
    """Return values as float32, (L, size); NaN for a value or a number in it that is None, or too large for a float.

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
            out[row] = [_float(each) for each in value]
    out[np.isinf(out)] = np.nan
    return out


def _bytes(name: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InputError(f"{name}: expected text of whole characters, got half of one (a lone surrogate); correct it") from None


def _text(name: str, value: Any, separator: str) -> str:
    if type(value) is str:
        return value
    if isinstance(value, list | tuple):
        return separator.join(_scalar(name, each) for each in value if each is not None)
    return _scalar(name, value)


def _scalar(name: str, value: Any) -> str:
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        if abs(value) < EXACT_BELOW and value == math.floor(value):
            return str(int(value))  # a column of integers with a missing value becomes float
    return "" if value is None else _scalar_text(name, value)


def _scalar_text(name: str, value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return float_text(value)
        case str():
            return str(value)
    raise InputError(f"{name}: expected text, a number, true or false, or a list of them, got {_shown(value)}; send one of these")


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
                return float(pa.array([value.strip(BLANKS)]).cast(pa.float32())[0].as_py())
            except (pa.ArrowInvalid, UnicodeEncodeError):
                return math.nan
    raise InputError(f"{name}: expected a number, or text that is one, got {_shown(value)}; send one, or leave it out")


def _float(number: float | None) -> float:
    try:
        return math.nan if number is None else float(number)
    except OverflowError:
        return math.nan


def _shown(value: Any) -> str:
    return f"{type(value).__name__} {str(value)[:80]!r}"
