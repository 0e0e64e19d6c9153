"""Select the candidates of a rule, and decide whether it applies to a request."""

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


def applies(when: Mapping[str, Sequence[Value]], context: Mapping[str, Any]) -> bool:
    """Return whether each feature of the context has one of the values; a feature that the request lacks has none."""
    return all(name in context and matches(context[name], values) for name, values in when.items())


def select(rule: Selecting, items: Sequence[str], columns: Columns) -> NDArray[np.bool_]:
    """Return a mask [L] of the candidates that a rule selects.

    Raises:
        InputError: there is no column of a feature that it uses.
    """
    if rule.items:
        ids = set(rule.items)
        return np.fromiter((item in ids for item in items), np.bool_, len(items))
    chosen = np.ones(len(items), np.bool_)
    for name, values in rule.where.items():
        actual = column(columns, name, len(items))
        chosen &= np.fromiter((matches(value, values) for value in actual), np.bool_, len(items))
    return chosen


def apart(dataset: Dataset, columns: Columns) -> Columns:
    """Split the values of the kind `multi` into lists: "new|sale" to ["new", "sale"]."""
    separators = {feature.name: feature.separator for feature in dataset.features if isinstance(feature, Multi)}
    return {
        name: [str(value).split(separators[name]) for value in values] if name in separators else values for name, values in columns.items()
    }


def column(columns: Columns, name: str, length: int) -> Sequence[Any] | NDArray[Any]:
    """Return the values of a feature, one for each candidate."""
    if name not in columns:
        raise InputError(f"the rules need the item feature {name!r}, which isn't given; {closest(name, list(columns))}")
    if len(columns[name]) != length:
        raise InputError(f"expected {length} values of the item feature {name!r}, one a candidate, got {len(columns[name])}")
    return columns[name]


def matches(actual: Any, values: Sequence[Value]) -> bool:
    """Return whether a value, or any of several, is among `values`: numbers compared as numbers, others as text."""
    if isinstance(actual, list | tuple | set | frozenset):
        return any(matches(each, values) for each in actual)
    if isinstance(actual, bytes):
        actual = actual.decode("utf-8", "replace")
    return any(_same(actual, value) for value in values)


def _same(actual: Any, value: Value) -> bool:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(actual) == float(value)
        except (TypeError, ValueError):
            return False
    # YAML reads a bare yes as true; a table has it as text or as a bool.
    return str(actual).lower() == str(value).lower() if isinstance(value, bool) else str(actual) == value
