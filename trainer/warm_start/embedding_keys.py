"""Name the rows of the ranker's embedding tables by keys that don't depend on their order in a vocabulary."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from components.contract.features import Category
from trainer.model.network_inputs import BUCKETS, CATEGORIES, Layout, vocabulary_name
from trainer.model.ranker import table_name


@dataclass(frozen=True)
class Keys:
    """Rows with explicit keys."""

    keys: tuple[str, ...]


@dataclass(frozen=True)
class Vocabulary:
    """Rows of the entries of a vocabulary among Transform's assets."""

    name: str


@dataclass(frozen=True)
class HashBuckets:
    """Rows of hash buckets, which hold the same values as long as their number stays the same."""

    count: int


Span = Keys | Vocabulary | HashBuckets

Key = tuple[str, str]
"""Kind of span and name of the row in it, so that an id can't be mistaken for a bucket."""

MISSING = Keys(("",))


def table_spans(plan: Layout) -> dict[str, tuple[Span, ...]]:
    """Return the spans of each table's rows by the table's name (see `trainer.warm_start.variable_names`).

    A number's buckets are named by their quantile: bucket 7 of the price holds the seventh of 32 equal parts of the
    training window's prices, whatever its bounds are.
    """
    spans: dict[str, tuple[Span, ...]] = {}
    unseen = tuple(f"?{name}:{at}" for name, buckets in plan.category_buckets.items() for at in range(len(buckets)))
    for feature in plan.features:
        name = f"tables/{table_name(feature)}"
        if isinstance(feature, Category):
            spans[name] = (MISSING, Keys(unseen), Vocabulary(CATEGORIES))
        elif feature.hashed:
            spans[name] = (MISSING, HashBuckets(feature.hashed))
        else:
            rest = Keys(tuple(f"?{at}" for at in range(feature.oov_buckets)))
            spans[name] = (MISSING, Vocabulary(vocabulary_name(feature)), rest)
    for bag in plan.bags:
        spans[f"words/{bag.feature.name}"] = (MISSING, HashBuckets(bag.feature.buckets))
    for axis in ("request", "candidate"):
        if measures := plan.numbers(axis):
            spans[f"buckets/{axis}"] = (Keys(tuple(f"{measure.name}:{at}" for measure in measures for at in range(BUCKETS + 1))),)
    return spans


def keys(spans: Sequence[Span], vocabulary: Callable[[str], Sequence[str]]) -> list[Key]:
    """Return the key of each row; `vocabulary` returns the entries of a vocabulary by its name."""
    return list(_keys(spans, vocabulary))


def _keys(spans: Sequence[Span], vocabulary: Callable[[str], Sequence[str]]) -> Iterator[Key]:
    for span in spans:
        match span:
            case Keys():
                yield from (("key", key) for key in span.keys)
            case Vocabulary():
                yield from (("entry", entry) for entry in vocabulary(span.name))
            case HashBuckets():
                yield from (("bucket", f"{at}/{span.count}") for at in range(span.count))


def as_json(spans: Sequence[Span]) -> list[list[str] | str | int]:
    """Encode spans: keys as a list, a vocabulary as its name, hash buckets as their number."""
    return [list(span.keys) if isinstance(span, Keys) else span.name if isinstance(span, Vocabulary) else span.count for span in spans]


def from_json(values: Sequence[list[str] | str | int]) -> tuple[Span, ...]:
    """Decode spans written by `as_json`."""
    return tuple(
        Keys(tuple(span)) if isinstance(span, list) else Vocabulary(span) if isinstance(span, str) else HashBuckets(span) for span in values
    )
