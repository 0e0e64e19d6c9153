"""Describe products by titles and facts from the catalogue, and sample candidates by a seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from components.contract.dataset import Dataset
from components.contract.features import Category, GivenFeature, Id, Multi, Number, Text
from serving.features.catalogue import Catalogue

TITLES = ("title", "name")  # what a shop calls it, the first that there is


@dataclass(frozen=True)
class Product:
    """Hold a product as a shopper sees it. `facts` maps catalogue features to their values as text."""

    id: str
    title: str
    facts: dict[str, str]


def title_feature(dataset: Dataset) -> str | None:
    """Return the catalogue's feature called `title` or `name`, else its first text, or None."""
    features = {feature.name: feature for feature in dataset.input_features("items")}
    texts = [name for name, feature in features.items() if isinstance(feature, Text)]
    named = [name for name in TITLES if isinstance(features.get(name), Text | Category | Id)]
    return next(iter([*named, *texts]), None)


@final
class Products:
    """Describe the catalogue's products; where the dataset has none, the items in shoppers' histories, by id."""

    def __init__(self, dataset: Dataset, catalogue: Catalogue) -> None:
        self._catalogue, self._title = catalogue, title_feature(dataset)
        facts = [
            each for each in dataset.input_features("items") if isinstance(each, Category | Number | Multi) and each.name != self._title
        ]
        self._facts = {feature.name: feature for feature in facts}

    def by_ids(self, ids: Sequence[str], time_us: int) -> list[Product]:
        """Describe products by their values at a time; one that the catalogue lacks has its id alone."""
        items = self._catalogue.items
        rows = items.at(items.rows(ids), time_us).tolist()
        products = []
        for item, row in zip(ids, rows, strict=True):
            title = as_text(items.columns[self._title][row]) if self._title else ""
            facts = {name: fact(feature, items.columns[name][row]) for name, feature in self._facts.items()}
            products.append(Product(item, title or item, {name: value for name, value in facts.items() if value}))
        return products

    def sample(self, count: int, *, seed: int, time_us: int, text: str = "") -> list[Product]:
        """Sample at most `count` products whose id, title or facts at a time contain `text`, ignoring case."""
        ids = self._catalogue.items.ids or self._catalogue.codes.names()
        matches: NDArray[Any] = np.arange(len(ids))
        if text.strip():
            needle = text.strip().casefold()
            # By column: building a `Product` for each item would take seconds.
            is_match = [needle in item.casefold() for item in ids]
            columns = self._catalogue.items.values(time_us) if self._catalogue.items.ids else {}
            for name in (self._title, *self._facts) if columns else ():
                if name is not None:
                    is_match = [
                        matched or needle in as_text(value).casefold()
                        for matched, value in zip(is_match, columns[name].tolist(), strict=True)
                    ]
            matches = np.flatnonzero(is_match)
        chosen = np.random.default_rng(seed).permutation(len(matches))[:count]
        return self.by_ids([ids[index] for index in matches[chosen].tolist()], time_us)


def fact(feature: GivenFeature, value: Any) -> str:
    """Return a value as text; "" where it is missing."""
    if isinstance(feature, Multi):
        return ", ".join(part for part in as_text(value).split(feature.separator) if part)
    return as_text(value)


def as_text(value: Any) -> str:
    """Return UTF-8 or a number as text; "" for NaN."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if np.isnan(value) else f"{value:.6g}"
