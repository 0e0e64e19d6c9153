"""Say how two candidates of a request differ in a feature, by its kind: why one stands above the other."""

import math
from collections.abc import Callable
from typing import final

import numpy as np

from components.contract.dataset import Dataset
from components.contract.features import History, ListRelative, Multi, Number, StateFeature, Text, Vector
from serving.explanation.claims import MATCH, Claims, is_price
from serving.explanation.phrases import duration, figure, number_word, quoted
from serving.explanation.request_values import RequestValues


@final
class Differences:
    """Say how candidates differ.

    Args:
        dataset: declares the features.
        claims: of the same dataset.
    """

    def __init__(self, dataset: Dataset, claims: Claims) -> None:
        self._features, self._claims = {feature.name: feature for feature in dataset.features}, claims

    def difference(self, name: str, values: RequestValues, above: int, below: int) -> str:
        """Return how `above` differs from `below` in a feature; what is true of both where it is the request's.

        Args:
            name: of an attribution: a feature's, or `HISTORY.same_FIELD`.
            values: of the request.
            above: index of a candidate.
            below: of another.
        """
        history, is_match, field = name.partition(MATCH)
        if is_match and isinstance(self._features.get(history), History):
            return self._match(name, field, values, above, below)
        feature = self._features.get(name)
        words = name.replace("_", " ")
        if feature is None or feature.side != "item" or isinstance(feature, Vector):
            return self._claims.claim(name, values, above)
        match feature:
            case ListRelative(of=number):
                return _ranks(number, values, above, below)
            case Number():
                return _numbers(feature.name, values, feature.name, above, below)
            case StateFeature():
                return _state(feature, values, self._claims.column(feature), above, below)
        first, second = (str(values.value(name, candidate)) for candidate in (above, below))
        if first == second:
            return f"the same {words}" + (f", {_shown(feature, first)}" if first else ": unknown")
        return f"{words} {_shown(feature, first)} against {_shown(feature, second)}"

    def _match(self, name: str, field: str, values: RequestValues, above: int, below: int) -> str:
        first, second = values.matches(field, above), values.matches(field, below)
        if not first.events or first.matching == second.matching:
            return self._claims.claim(name, values, above)
        counts = f"{number_word(first.matching)} against {number_word(second.matching)}"
        last = "last action" if first.events == 1 else f"last {first.events} actions"
        subject = "the very product" if field == "item" else f"its {field.replace('_', ' ')}"
        return f"of the shopper's {last} {counts} on {subject}"


def _numbers(name: str, values: RequestValues, column: str, above: int, below: int) -> str:
    words = name.replace("_", " ")
    first, second = (float(values.value(column, candidate)) for candidate in (above, below))
    if name == "position":
        return f"asked for at place {int(first) + 1} against {int(second) + 1}"
    against = f"{_known(first, figure)} against {_known(second, figure)}"
    if first == second:
        return f"the same {words}, {figure(first)}"
    if not is_price(name) or math.isnan(first) or math.isnan(second):
        return f"{words} {against}"
    return f"{'cheaper' if first < second else 'dearer'}: {against}"


def _ranks(name: str, values: RequestValues, above: int, below: int) -> str:
    """Say how many of the other candidates each of two beats: by being cheaper, or higher."""
    words, numbers = name.replace("_", " "), values.numbers(name)
    if np.isnan(numbers[[above, below]]).any():
        return _numbers(name, values, name, above, below)
    if is_price(name):
        first, second = (int((numbers > numbers[candidate]).sum()) for candidate in (above, below))
        return f"cheaper than {first} of the others against {second}"
    first, second = (int((numbers < numbers[candidate]).sum()) for candidate in (above, below))
    return f"{words} higher than {first} of the others against {second}"


def _state(feature: StateFeature, values: RequestValues, column: str, above: int, below: int) -> str:
    action, per = (feature.action or "").replace("_", " "), (feature.per or "").replace("_", " ")
    first, second = (float(values.value(column, candidate)) for candidate in (above, below))
    match feature.measure:
        case "rate":
            return f"{action} per {per}: {first:.1%} against {second:.1%}"
        case "recency":
            return f"last {action}: {_known(first, duration, 'never')} against {_known(second, duration, 'never')} before"
        case "count":
            return f"{action}s lately: {figure(round(first, 2))} against {figure(round(second, 2))}"
    return f"{action}s so far: {figure(first)} against {figure(second)}"


def _known(value: float, said: Callable[[float], str], missing: str = "unknown") -> str:
    return missing if math.isnan(value) else said(value)


def _shown(feature: object, text: str) -> str:
    match feature:
        case Text():
            return quoted(text) if text else "none"
        case Multi(separator=separator):
            return quoted(", ".join(part for part in text.split(separator) if part)) if text else "none"
    return text or "unknown"
