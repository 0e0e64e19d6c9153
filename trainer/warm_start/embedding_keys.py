"""What the rows of the ranker's tables stand for: keys that outlive a changed vocabulary."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from components.contract.features import Category
from trainer.model.network_inputs import BUCKETS, CATEGORIES, Layout, vocabulary_name
from trainer.model.ranker import table_name


@dataclass(frozen=True)
class Keys:
    """Rows with keys of their own."""

    keys: tuple[str, ...]


@dataclass(frozen=True)
class Vocabulary:
    """A row for each entry of a vocabulary among Transform's assets."""

    name: str


@dataclass(frozen=True)
class Places:
    """Hash buckets: a row stands for the same values as long as there are as many."""

    count: int


Span = Keys | Vocabulary | Places

Key = tuple[str, str]
"""The kind of span and the row's own name in it: an id that reads like the name of a bucket is none."""

MISSING = Keys(("",))


def table_spans(plan: Layout) -> dict[str, tuple[Span, ...]]:
    """The rows of each table, from the first to the last, by the table's place in the model (see `trainer.warm_start.variable_names`).

    Of a number's buckets it is the quantile that counts: bucket 7 of the price holds the seventh of 32 equal parts of the training window's
    prices, wherever its bounds have moved to.
    """
    found: dict[str, tuple[Span, ...]] = {}
    unseen = tuple(f"?{name}:{at}" for name, buckets in plan.category_buckets.items() for at in range(len(buckets)))
    for feature in plan.features:
        name = f"tables/{table_name(feature)}"
        if isinstance(feature, Category):
            found[name] = (MISSING, Keys(unseen), Vocabulary(CATEGORIES))
        elif feature.hashed:
            found[name] = (MISSING, Places(feature.hashed))
        else:
            rest = Keys(tuple(f"?{at}" for at in range(feature.oov_buckets)))
            found[name] = (MISSING, Vocabulary(vocabulary_name(feature)), rest)
    for bag in plan.bags:
        found[f"words/{bag.feature.name}"] = (MISSING, Places(bag.feature.buckets))
    for axis in ("request", "candidate"):
        if measures := plan.numbers(axis):
            found[f"buckets/{axis}"] = (Keys(tuple(f"{measure.name}:{at}" for measure in measures for at in range(BUCKETS + 1))),)
    return found


def keys(spans: Sequence[Span], vocabulary: Callable[[str], Sequence[str]]) -> list[Key]:
    """A key for each row; `vocabulary` gives the entries of a vocabulary by its name."""
    return list(_keys(spans, vocabulary))


def _keys(spans: Sequence[Span], vocabulary: Callable[[str], Sequence[str]]) -> Iterator[Key]:
    for span in spans:
        match span:
            case Keys():
                yield from (("key", key) for key in span.keys)
            case Vocabulary():
                yield from (("entry", entry) for entry in vocabulary(span.name))
            case Places():
                yield from (("place", f"{at}/{span.count}") for at in range(span.count))


def as_json(spans: Sequence[Span]) -> list[list[str] | str | int]:
    """Keys as a list, a vocabulary as its name, hash buckets as their number."""
    return [list(span.keys) if isinstance(span, Keys) else span.name if isinstance(span, Vocabulary) else span.count for span in spans]


def from_json(given: Sequence[list[str] | str | int]) -> tuple[Span, ...]:
    """The inverse of `as_json`."""
    return tuple(
        Keys(tuple(span)) if isinstance(span, list) else Vocabulary(span) if isinstance(span, str) else Places(span) for span in given
    )
