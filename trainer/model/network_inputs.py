"""Derive the network's inputs from the feature table: ids, words, vectors and numbers, and their axes."""

from dataclasses import dataclass
from typing import Literal

from components.contract.columns import Axis, Column, input_columns
from components.contract.dataset import Dataset
from components.contract.features import Category, Id, ListRelative, Multi, Number, StateFeature, Text, Vector

Scale = Literal["plain", "log", "logit", "rank", "ratio"]

BUCKETS = 32
"""Number of quantile buckets of a number; bucket 0 is a missing value."""

AGE_BUCKETS = 32
"""Number of buckets of an age, by powers of two of a second: the last begins after 68 years."""

SHOWN_POSITION = "shown.position"
"""Position of each candidate as shown, from 0, -1 where unknown; beside the features in training only."""

CATEGORIES = "categories"
"""Name of the shared vocabulary of all categories among Transform's assets; its entries are `feature=value`."""


@dataclass(frozen=True)
class Token:
    """Column of single values that are embedded; fields of the history share the table of their `feature`."""

    column: Column
    feature: Id | Category


@dataclass(frozen=True)
class Bag:
    """Column whose value is a bag of words."""

    column: Column
    feature: Text | Multi


@dataclass(frozen=True)
class Measure:
    """Number among the inputs: its name, the column it is read from, its scale, and the feature that declares it."""

    name: str
    column: str
    scale: Scale
    feature: str


@dataclass(frozen=True)
class Layout:
    """All inputs of the network, each kind in the order of the feature table."""

    tokens: tuple[Token, ...]
    bags: tuple[Bag, ...]
    vectors: tuple[Column, ...]
    request_numbers: tuple[Measure, ...]
    candidate_numbers: tuple[Measure, ...]
    history_numbers: tuple[Measure, ...]
    history: str | None
    actions: tuple[str, ...]

    def numbers(self, axis: Axis) -> tuple[Measure, ...]:
        """Return the numbers of an axis, in the order in which they are stacked."""
        return {"request": self.request_numbers, "candidate": self.candidate_numbers, "history": self.history_numbers}[axis]

    @property
    def features(self) -> tuple[Id | Category, ...]:
        """Return the features of the tokens, each once."""
        return tuple({token.feature.name: token.feature for token in self.tokens}.values())

    @property
    def columns(self) -> tuple[Column, ...]:
        """Return the columns of tokens, bags and vectors."""
        return (*(token.column for token in self.tokens), *(bag.column for bag in self.bags), *self.vectors)

    @property
    def category_buckets(self) -> dict[str, range]:
        """Return the ids of each category's unseen values; the ids of all categories are 0, these, the vocabulary."""
        buckets: dict[str, range] = {}
        first = 1
        for feature in self.features:
            if isinstance(feature, Category):
                buckets[feature.name] = range(first, first + feature.oov_buckets)
                first += feature.oov_buckets
        return buckets

    def on(self, axis: Axis) -> tuple[Token, ...]:
        """Return the tokens of an axis."""
        return tuple(token for token in self.tokens if token.column.axis == axis)


def layout(dataset: Dataset) -> Layout:
    """Derive the network's inputs from a dataset's feature table."""
    history = dataset.history
    tokens, bags, vectors = [], [], []
    numbers: dict[Axis, list[Measure]] = {"request": [], "candidate": [], "history": []}
    for column in input_columns(dataset):
        feature = dataset.feature(column.feature)
        if history and column.axis == "history":
            field = column.name.removeprefix(f"{history.name}_")
            if field not in history.fields:
                continue  # the action and the age have encodings of their own
            feature = dataset.feature(field)
        match feature:
            case Id() | Category():
                tokens.append(Token(column, feature))
            case Text() | Multi():
                bags.append(Bag(column, feature))
            case Vector():
                vectors.append(column)
            case Number():
                numbers[column.axis].append(Measure(column.name, column.name, "log" if feature.log else "plain", column.feature))
            case StateFeature():
                numbers[column.axis].append(
                    Measure(column.name, column.name, "logit" if feature.measure == "rate" else "log", column.feature)
                )
    for feature in dataset.features:
        if isinstance(feature, ListRelative):
            numbers["candidate"] += [Measure(f"{feature.name}_{scale}", feature.of, scale, feature.name) for scale in ("rank", "ratio")]
    return Layout(
        tokens=tuple(tokens),
        bags=tuple(bags),
        vectors=tuple(vectors),
        request_numbers=tuple(numbers["request"]),
        candidate_numbers=tuple(numbers["candidate"]),
        history_numbers=tuple(numbers["history"]),
        history=history.name if history else None,
        actions=history.actions if history else (),
    )


def vocabulary_name(feature: Id) -> str:
    """Return the name of an id's own vocabulary among Transform's assets."""
    return f"vocabulary_{feature.name}"
