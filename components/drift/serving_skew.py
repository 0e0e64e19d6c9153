"""Compare the features that the service sent for a request with those that ingestion computes for it, value by value."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from components.contract.columns import Column

SHOWN = 3


@dataclass(frozen=True)
class RequestFeatures:
    """The features of a request: one value, L in the order of `items`, or those of H events, by column."""

    request: str
    items: Sequence[str]
    columns: Mapping[str, Sequence[Any]]


@dataclass
class ColumnSkew:
    """A column's requests: how many were compared, how many differ in any value, and some of those in words."""

    compared: int = 0
    differing: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Skew:
    """The skew of each column, and how many requests only one side has."""

    columns: Mapping[str, ColumnSkew]
    not_ingested: int
    not_sent: int


def compare_features(sent: Iterable[RequestFeatures], computed: Iterable[RequestFeatures], columns: Sequence[Column]) -> Skew:
    """Compare requests by their id, and candidates by their item; floats are compared as float32, bit for bit.

    Args:
        sent: what the service logged.
        computed: what ingestion gave.
        columns: to compare; of those that only one side has, nothing is said.
    """
    ingested = {each.request: each for each in computed}
    skews: dict[str, ColumnSkew] = {}
    not_ingested, met = 0, set()
    for service in sent:
        training = ingested.get(service.request)
        if training is None:
            not_ingested += 1
            continue
        met.add(service.request)
        for column in columns:
            if column.name in service.columns and column.name in training.columns:
                _compare(skews.setdefault(column.name, ColumnSkew()), column, service, training)
    return Skew(skews, not_ingested, len(ingested.keys() - met))


def _compare(skew: ColumnSkew, column: Column, service: RequestFeatures, training: RequestFeatures) -> None:
    pairs = _pairs(column, service, training)
    skew.compared += 1
    differing = next((pair for pair in pairs if not _equal(pair[1], pair[2], column)), None)
    if differing is not None:
        skew.differing += 1
        if len(skew.examples) < SHOWN:
            where, sent, computed = differing
            skew.examples.append(f"request {service.request!r}{where}: sent {_shown(sent)}, ingestion computes {_shown(computed)}")


def _pairs(column: Column, service: RequestFeatures, training: RequestFeatures) -> Iterable[tuple[str, Any, Any]]:
    """Yield where a value belongs to, the value sent and the value computed, with one list longer than the other too."""
    sent, computed = service.columns[column.name], training.columns[column.name]
    if column.axis == "candidate":
        by_item = dict(zip(training.items, _vectors(computed, column.size), strict=True))
        for item, value in zip(service.items, _vectors(sent, column.size), strict=True):
            if item in by_item:  # What was ranked and not shown is in no log.
                yield f", item {item!r}", value, by_item[item]
    elif column.axis == "history" and len(sent) != len(computed):
        yield ", number of events", len(sent), len(computed)
    else:
        for i, (left, right) in enumerate(zip(sent, computed, strict=True)):
            yield f", event {i}" if column.axis == "history" else "", left, right


def _vectors(values: Sequence[Any], size: int) -> list[Any]:
    return list(values) if size == 1 else [tuple(values[i : i + size]) for i in range(0, len(values), size)]


def _equal(sent: Any, computed: Any, column: Column) -> bool:
    if isinstance(sent, tuple):
        return all(_equal(left, right, column) for left, right in zip(sent, computed, strict=True))
    if column.dtype != "float32":
        return bool(sent == computed)
    left, right = (math.nan if value is None else float(np.float32(value)) for value in (sent, computed))
    return left == right or (math.isnan(left) and math.isnan(right))


def _shown(value: Any) -> str:
    return f"{value:.9g}" if isinstance(value, float) else repr(value)
