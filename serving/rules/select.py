"""Which candidates a rule concerns, and whether it holds for a request."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.contract.base_model import closest
from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.features import Multi
from serving.rules.file import Selecting, Value

Columns = Mapping[str, Sequence[Any] | NDArray[Any]]  # item feature to its values, one a candidate


def holds(when: Mapping[str, Sequence[Value]], context: Mapping[str, Any]) -> bool:
    """Whether each feature has one of its values; one that the request doesn't give has none."""
    return all(name in context and matches(context[name], values) for name, values in when.items())


def selected(rule: Selecting, items: Sequence[str], columns: Columns) -> NDArray[np.bool_]:
    """The candidates that a rule concerns, [L].

    Raises:
        InputError: there is no column of a feature that it asks for.
    """
    if rule.items:
        wanted = set(rule.items)
        return np.fromiter((item in wanted for item in items), np.bool_, len(items))
    found = np.ones(len(items), np.bool_)
    for name, values in rule.where.items():
        given = column(columns, name, len(items))
        found &= np.fromiter((matches(value, values) for value in given), np.bool_, len(items))
    return found


def apart(dataset: Dataset, columns: Columns) -> Columns:
    """The columns with the values of the kind `multi` as lists: "new|sale" is ["new", "sale"], as rules compare them."""
    separators = {feature.name: feature.separator for feature in dataset.features if isinstance(feature, Multi)}
    return {
        name: [str(value).split(separators[name]) for value in values] if name in separators else values for name, values in columns.items()
    }


def column(columns: Columns, name: str, length: int) -> Sequence[Any] | NDArray[Any]:
    """The values of a feature, one a candidate."""
    if name not in columns:
        raise InputError(f"the rules need the item feature {name!r}, which isn't given; {closest(name, list(columns))}")
    if len(columns[name]) != length:
        raise InputError(f"expected {length} values of the item feature {name!r}, one a candidate, got {len(columns[name])}")
    return columns[name]


def matches(given: Any, values: Sequence[Value]) -> bool:
    """Whether a value is one of those: numbers as numbers, everything else as text; of several values, whether any is."""
    if isinstance(given, list | tuple | set | frozenset):
        return any(matches(each, values) for each in given)
    if isinstance(given, bytes):
        given = given.decode("utf-8", "replace")
    return any(_same(given, value) for value in values)


def _same(given: Any, value: Value) -> bool:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(given) == float(value)
        except (TypeError, ValueError):
            return False
    # YAML reads a bare yes as true; a table has it as text or as a truth value.
    return str(given).lower() == str(value).lower() if isinstance(value, bool) else str(given) == value
