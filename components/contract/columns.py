"""Derive the columns of the examples from the feature table: ingestion's output and a model's inputs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from components.contract.base_model import duration_name
from components.contract.dataset import Dataset
from components.contract.features import History, ListRelative, Number, StateFeature, Vector
from components.contract.sources import Rows

Dtype = Literal["string", "int64", "float32"]
Axis = Literal["request", "candidate", "history"]
Role = Literal["input", "label", "meta"]


@dataclass(frozen=True)
class Column:
    """One column of the examples.

    `axis` says what a value belongs to: the request (one), each candidate (L) or each event of the history (H); `size`
    values each. `feature` is the feature it belongs to; "" for labels and metadata.
    """

    name: str
    dtype: Dtype
    axis: Axis
    role: Role
    feature: str = ""
    size: int = 1


def columns(dataset: Dataset) -> tuple[Column, ...]:
    """List all columns of the dataset's examples, in a fixed order."""
    inputs = tuple(_inputs(dataset))
    named = {column.name for column in inputs}
    meta = (
        Column("request", "string", "request", "meta"),
        Column("user", "string", "request", "meta"),
        Column("time", "int64", "request", "meta"),
        Column("interactions", "int64", "request", "meta"),
        Column("item", "string", "candidate", "meta"),
        Column("position", "int64", "candidate", "meta"),
        *(Column(amount, "float32", "candidate", "meta") for amount in dataset.amounts),
    )
    return tuple(column for column in meta if column.name not in named) + inputs + label_columns(dataset)


def input_columns(dataset: Dataset) -> tuple[Column, ...]:
    """List the columns that a model reads and that a request to the model server has."""
    return tuple(column for column in columns(dataset) if column.role == "input")


def signature_columns(dataset: Dataset) -> tuple[Column, ...]:
    """List the inputs of `serving_default`: the model's input columns, and the length of each ragged axis."""
    inputs = input_columns(dataset)
    counts = {"history": "n_history", "candidate": "n_candidates"}
    axes = {column.axis for column in inputs} | {"candidate"}
    return (*inputs, *(Column(name, "int64", "request", "input") for axis, name in counts.items() if axis in axes))


def label_columns(dataset: Dataset) -> tuple[Column, ...]:
    """List `label` (any labelled action: 0 or 1) and, where there are several actions, one for each."""
    gains = dataset.label_gains
    each = tuple(Column(f"label_{action}", "float32", "candidate", "label") for action in gains) if len(gains) > 1 else ()
    return (Column("label", "float32", "candidate", "label"), *each)


def gains(dataset: Dataset) -> dict[str, float]:
    """Return the gain of each label column, for graded metrics."""
    actions = dataset.label_gains
    if isinstance(dataset.candidates, Rows) or len(actions) == 1:
        return {"label": 1.0}
    return {f"label_{action}": gain for action, gain in actions.items()}


def gain_amounts(dataset: Dataset) -> dict[str, str]:
    """Return by label column the amount column that its gain is multiplied by, for actions with an `amount`."""
    named = {name: dataset.actions[name].amount for name in dataset.label_gains}
    single = isinstance(dataset.candidates, Rows) or len(named) == 1
    return {"label" if single else f"label_{name}": amount for name, amount in named.items() if amount}


def state_columns(dataset: Dataset, feature: StateFeature) -> tuple[str, ...]:
    """Name a state feature's columns: one for each half-life where it has any."""
    if feature.measure in ("count", "rate"):
        return tuple(f"{feature.name}_{duration_name(half_life)}" for half_life in dataset.half_lives_of(feature))
    return (feature.name,)


def _inputs(dataset: Dataset) -> Iterator[Column]:
    for feature in dataset.features:
        axis: Axis = "candidate" if feature.side == "item" else "request"
        match feature:
            case History():
                for name in feature.fields:
                    dtype: Dtype = "float32" if isinstance(dataset.feature(name), Number) else "string"
                    yield Column(f"{feature.name}_{name}", dtype, "history", "input", feature.name)
                yield Column(f"{feature.name}_action", "string", "history", "input", feature.name)
                yield Column(f"{feature.name}_age_s", "float32", "history", "input", feature.name)
            case StateFeature():
                for name in state_columns(dataset, feature):
                    yield Column(name, "float32", axis, "input", feature.name)
            case ListRelative():
                pass  # Computed in the model from the number it compares.
            case Vector():
                yield Column(feature.name, "float32", axis, "input", feature.name, feature.size)
            case Number() if feature.name == "position":
                yield Column("position", "int64", axis, "input", feature.name)
            case Number():
                yield Column(feature.name, "float32", axis, "input", feature.name)
            case _:
                yield Column(feature.name, "string", axis, "input", feature.name)
