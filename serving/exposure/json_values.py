"""Convert values to JSON, of one type in each column."""

from typing import Any

import numpy as np

from components.contract.features import GivenFeature, Number, Vector


def to_json(value: Any) -> Any:
    """Return a value as JSON: arrays as lists, bytes as text, non-finite numbers as null, float32 without loss."""
    match value:
        case None | bool() | int():
            return value
        case str():
            return replace_surrogates(value)
        case bytes():
            return value.decode("utf-8", "replace")
        case float() | np.floating():
            return float(value) if np.isfinite(value) else None
        case np.generic():
            return to_json(value.item())
        case dict():
            return {replace_surrogates(str(key)): to_json(each) for key, each in value.items()}
        case np.ndarray() | list() | tuple():
            return [to_json(each) for each in value]
    return replace_surrogates(str(value))


def replace_surrogates(text: str) -> str:
    """Replace lone surrogates: one would make the whole file unreadable."""
    return text.encode("utf-8", "replace").decode()


def to_column_type(feature: GivenFeature, value: Any) -> Any:
    """Return a feature's value in the type of its kind, null where it is missing or of another type.

    A column must keep one type: a caller who once sends a number in place of text would spoil the whole file.
    """
    value = to_json(value)
    if isinstance(feature, Number):
        return _number(value)
    if isinstance(feature, Vector):
        numbers = [_number(each) for each in value] if isinstance(value, list) else []
        return numbers if len(numbers) == feature.size else None
    if isinstance(value, list):
        return getattr(feature, "separator", " ").join("" if each is None else str(each) for each in value)
    return value if value is None or isinstance(value, str) else str(value)


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if np.isfinite(number) else None
