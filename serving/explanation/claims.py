"""Say what is true of a candidate's value of each feature, by the feature's kind.

A claim is about values alone; the attribution beside it says whether the value raised the score or lowered it.
"""

import math
from collections.abc import Callable
from typing import Final, final

import numpy as np

from components.contract.base_model import duration_name
from components.contract.columns import state_columns
from components.contract.dataset import Dataset
from components.contract.features import Category, Feature, History, Id, ListRelative, Multi, Number, StateFeature, Text, Vector
from serving.explanation.phrases import LEAST_OTHERS, duration, figure, number_word, quoted, rank_in_list
from serving.explanation.request_values import RequestValues

PRICES: Final = ("price", "_price")
"""How the name of a number ends that is called dear or cheap, rather than high or low."""

_RANKS = {
    2: "the highest of this list",
    1: "higher than most of this list",
    -1: "lower than most of this list",
    -2: "the lowest of this list",
}
_PRICE_RANKS = {
    2: "the dearest of this list",
    1: "dearer than most of this list",
    -1: "cheaper than most of this list",
    -2: "the cheapest of this list",
}
MATCH = ".same_"


@final
class Claims:
    """Say what the values of one dataset's requests show.

    Args:
        dataset: declares the features.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._features = {feature.name: feature for feature in dataset.features}
        self._gap = duration(dataset.session_gap)

    def claim(self, name: str, values: RequestValues, candidate: int) -> str:
        """Return what is true of a candidate; the name itself where nothing is known of it.

        Args:
            name: of an attribution: a feature's, or `HISTORY.same_FIELD`.
            values: of the request.
            candidate: its index.
        """
        history, is_match, field = name.partition(MATCH)
        if is_match and isinstance(self._features.get(history), History):
            return self._match(field, values, candidate)
        feature = self._features.get(name)
        return name.replace("_", " ") if feature is None else self._of_feature(feature, values, candidate)

    def _of_feature(self, feature: Feature, values: RequestValues, candidate: int) -> str:
        words = feature.name.replace("_", " ")
        match feature:
            case ListRelative(of=number):
                return self._relative(number, values, candidate)
            case Number():
                return self._number(feature, words, values, candidate)
            case StateFeature():
                return self._state(feature, values, candidate)
            case History():
                return self._past(values)
            case Vector():
                return words
        text = str(values.value(feature.name, candidate))
        return _text(feature, words, text)

    def _relative(self, number: str, values: RequestValues, candidate: int) -> str:
        words, known = number.replace("_", " "), int((~np.isnan(values.numbers(number))).sum())
        if math.isnan(values.value(number, candidate)):
            return f"{words} unknown"
        if known <= LEAST_OTHERS:
            return f"{words}: nothing to compare it with"
        return self._rank(number, number, values, candidate) or f"{words} near the middle of this list"

    def _number(self, feature: Number, words: str, values: RequestValues, candidate: int) -> str:
        value = float(values.value(feature.name, candidate))
        if math.isnan(value):
            return f"{words} unknown"
        if feature.name == "position":
            return f"asked for at place {int(value) + 1}"
        relative = self._rank(feature.name, feature.name, values, candidate) if feature.side == "item" else ""
        return f"{words} {figure(value)}" + (f", {relative}" if relative else "")

    def _state(self, feature: StateFeature, values: RequestValues, candidate: int) -> str:
        column = self.column(feature)
        value = float(values.value(column, candidate))
        relative = self._rank(column, feature.name, values, candidate) if feature.side == "item" else ""
        said = _measures(feature)[feature.measure](value)
        if feature.measure in ("count", "rate"):
            said += f" (half-life {duration_name(self._longest(feature))})"
        return said + (f", {relative}" if relative and not math.isnan(value) else "")

    def column(self, feature: StateFeature) -> str:
        """Return the column that speaks for a state feature: that of its longest half-life, where it has several."""
        names = state_columns(self._dataset, feature)
        if feature.measure not in ("count", "rate"):
            return names[0]
        return names[self._dataset.half_lives_of(feature).index(self._longest(feature))]

    def _longest(self, feature: StateFeature) -> float:
        return max(self._dataset.half_lives_of(feature))

    def _rank(self, column: str, name: str, values: RequestValues, candidate: int) -> str:
        table = _PRICE_RANKS if is_price(name) else _RANKS
        return table.get(rank_in_list(values.numbers(column), candidate), "")

    def _match(self, field: str, values: RequestValues, candidate: int) -> str:
        matches = values.matches(field, candidate)
        if not matches.events:
            return "nothing is known of what this shopper did"
        subject = "this very product" if field == "item" else f"this {field.replace('_', ' ')}"
        last = "the shopper's last action" if matches.events == 1 else f"the shopper's last {matches.events} actions"
        one = matches.events == 1
        if not matches.matching:
            return f"{last} wasn't on {subject}" if one else f"none of {last} was on {subject}"
        said = f"{last} was on {subject}" if one else f"{number_word(matches.matching)} of {last} on {subject}"
        when = "in this visit" if values.has_visit else f"in the last {self._gap}"
        if matches.recent == matches.matching:
            return f"{said}, {when}"
        return said + (f", {number_word(matches.recent)} of them {when}" if matches.recent else "")

    def _past(self, values: RequestValues) -> str:
        return f"what the shopper did: {values.events} actions known" if values.events else "nothing is known of what this shopper did"


def is_price(name: str) -> bool:
    """Return whether a number is called dear or cheap."""
    return name.endswith(PRICES)


def _text(feature: Feature, words: str, text: str) -> str:
    if not text:
        return f"{words} unknown"
    match feature:
        case Id(name="item"):
            return f"the product itself ({text})"
        case Id(name="user"):
            return "this very shopper"
        case Text():
            return f"{words} {quoted(text)}"
        case Multi(separator=separator):
            return f"{words} {quoted(', '.join(part for part in text.split(separator) if part))}"
        case Category() | Id():
            return f"{words} {text}"
    return words


def _measures(feature: StateFeature) -> dict[str, Callable[[float], str]]:
    """Return how each measure's value is said."""
    action, per = (feature.action or "").replace("_", " "), (feature.per or "").replace("_", " ")
    whose = " of this shopper" if feature.side == "user" else ""
    return {
        "total": lambda value: f"{action}s{whose} so far: {figure(value)}",
        "count": lambda value: f"{action}s{whose} lately: {figure(round(value, 2))}",
        "rate": lambda value: f"{action} per {per}{whose}: {value:.1%}",
        "recency": lambda value: f"no {action}{whose} yet" if math.isnan(value) else f"last {action}{whose} {duration(value)} ago",
        "session_events": lambda value: f"events in this visit: {figure(value)}",
        "session_age": lambda value: f"this visit has lasted {duration(value)}",
    }
