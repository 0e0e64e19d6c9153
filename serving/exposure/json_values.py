"""Values as JSON can hold them, and as whoever reads the log back can take them."""

from typing import Any

import numpy as np

from components.contract.features import GivenFeature, Number, Vector


def plain(value: Any) -> Any:
    """Any value as JSON: arrays as lists, bytes as text, what is no finite number as null. Float32 comes back bit for bit."""
    match value:
        case None | bool() | int():
            return value
        case str():
            return well_formed(value)
        case bytes():
            return value.decode("utf-8", "replace")
        case float() | np.floating():
            return float(value) if np.isfinite(value) else None
        case np.generic():
            return plain(value.item())
        case dict():
            return {well_formed(str(key)): plain(each) for key, each in value.items()}
        case np.ndarray() | list() | tuple():
            return [plain(each) for each in value]
    return well_formed(str(value))


def well_formed(text: str) -> str:
    """Text without halves of characters: one lone surrogate would make the whole file unreadable."""
    return text.encode("utf-8", "replace").decode()


def typed(feature: GivenFeature, value: Any) -> Any:
    """A feature's value as its kind says, null where it is missing or isn't that: a column must keep to one type.

    A caller who sends a number for once where text belongs would else spoil the whole file.
    """
    value = plain(value)
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
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if np.isfinite(found) else None
