"""The products that the page shows: their titles and facts out of the catalogue, and a draw of candidates by a seed."""

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
    """As a shopper sees it. `facts` maps features of the catalogue to their values as text, where they have one."""

    id: str
    title: str
    facts: dict[str, str]


def title_feature(dataset: Dataset) -> str | None:
    """The catalogue's feature called `title` or `name`, else its first text; None where products have but their ids."""
    given = {feature.name: feature for feature in dataset.given("items")}
    texts = [name for name, feature in given.items() if isinstance(feature, Text)]
    called = [name for name in TITLES if isinstance(given.get(name), Text | Category | Id)]
    return next(iter([*called, *texts]), None)


@final
class Products:
    """The catalogue as a shopper sees it; where the dataset has none, the items that shoppers' histories know, by id."""

    def __init__(self, dataset: Dataset, catalogue: Catalogue) -> None:
        self._catalogue, self._title = catalogue, title_feature(dataset)
        facts = [each for each in dataset.given("items") if isinstance(each, Category | Number | Multi) and each.name != self._title]
        self._facts = {feature.name: feature for feature in facts}

    def by_ids(self, ids: Sequence[str], time_us: int) -> list[Product]:
        """Each product by its id, with its values at a moment; one that the catalogue lacks has its id alone."""
        items = self._catalogue.items
        rows = items.at(items.rows(ids), time_us).tolist()
        told = []
        for item, row in zip(ids, rows, strict=True):
            title = as_text(items.columns[self._title][row]) if self._title else ""
            facts = {name: fact(feature, items.columns[name][row]) for name, feature in self._facts.items()}
            told.append(Product(item, title or item, {name: value for name, value in facts.items() if value}))
        return told

    def drawn(self, count: int, *, seed: int, time_us: int, text: str = "") -> list[Product]:
        """At most `count` products by lot: of all, or of those whose id, title or facts at a moment contain `text` in whichever case."""
        ids = self._catalogue.items.ids or self._catalogue.codes.names()
        places: NDArray[Any] = np.arange(len(ids))
        if text.strip():
            wanted = text.strip().casefold()
            # One column after the other: a catalogue is long, and as `Product`s it would take seconds.
            found = [wanted in item.casefold() for item in ids]
            columns = self._catalogue.items.values(time_us) if self._catalogue.items.ids else {}
            for name in (self._title, *self._facts) if columns else ():
                if name is not None:
                    found = [was or wanted in as_text(value).casefold() for was, value in zip(found, columns[name].tolist(), strict=True)]
            places = np.flatnonzero(found)
        chosen = np.random.default_rng(seed).permutation(len(places))[:count]
        return self.by_ids([ids[at] for at in places[chosen].tolist()], time_us)


def fact(feature: GivenFeature, value: Any) -> str:
    """A value as text; "" where it is missing."""
    if isinstance(feature, Multi):
        return ", ".join(part for part in as_text(value).split(feature.separator) if part)
    return as_text(value)


def as_text(value: Any) -> str:
    """UTF-8 or a number as text; "" for NaN."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if np.isnan(value) else f"{value:.6g}"
