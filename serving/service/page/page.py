"""Answer the page's own calls: what there is to choose from, and what is known of a shopper."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

from components.contract.dataset import Dataset
from components.contract.errors import InputError, ModelUnavailable
from components.contract.features import Vector
from serving.client.model import ModelClient
from serving.features.catalogue import Catalogue
from serving.features.request import Request
from serving.service.page.products import Product, Products
from serving.service.page.shoppers import recent_history, shopper_facts
from serving.service.state.state_client import StateClient

TIMEOUT_S = 1.0
MAX_VALUES = 60  # of a feature, in a list to choose from


@dataclass(frozen=True, kw_only=True)
class PageChoices:
    """Hold what the page offers to choose from.

    Attributes:
        shoppers: ids.
        values: of context features, by name.
        label: of the version that is called where no arm names another.
        needs_token: whether events need a token.
    """

    shoppers: Sequence[str]
    values: Mapping[str, Sequence[str]]
    label: str
    needs_token: bool


@final
class Page:
    """Answer the page's own calls, for one shop."""

    def __init__(self, dataset: Dataset, catalogue: Catalogue, *, state: StateClient, model: ModelClient, choices: PageChoices) -> None:
        self._dataset, self._catalogue, self._state, self._model, self._choices = dataset, catalogue, state, model, choices
        self.products = Products(dataset, catalogue)

    async def choices(self) -> dict[str, Any]:
        """Return what there is to choose from; `fault` is why there are no versions."""
        fault = ""
        versions: tuple[int, ...] = ()
        try:
            versions = await self._model.versions(timeout_s=TIMEOUT_S)
        except ModelUnavailable as error:
            fault = str(error)
        users, now_us = self._catalogue.users, _now_us()
        return {
            "shop": self._dataset.name,
            "shoppers": [{"id": each, "facts": shopper_facts(self._dataset, users, each, now_us)} for each in self._choices.shoppers],
            "context": [{"name": name, "values": list(self._choices.values.get(name, ()))} for name in context_features(self._dataset)],
            "actions": [name for name in self._dataset.label_gains if self._dataset.actions[name].item],
            "versions": list(versions),
            "label": self._choices.label,
            "guarded": self._choices.needs_token,
            "fault": fault,
        }

    async def shopper(self, shopper: str, session: str) -> dict[str, Any]:
        """Return what is known of a shopper now.

        Raises:
            InputError: the request is invalid.
        """
        now_us = _now_us()
        shopper = self._catalogue.second_ids.shopper(shopper, now_us)
        # The shopper's features don't depend on the candidates, of which a request has at least one.
        request = Request(shopper=shopper, candidates=[" "], time_us=now_us, session=session)
        inputs, known = await self._state.inputs(request, timeout_s=TIMEOUT_S)
        return {
            "facts": shopper_facts(self._dataset, self._catalogue.users, shopper, now_us),
            "known": known,
            "interactions": inputs.interactions,
            "history": [asdict(each) for each in recent_history(self._dataset, inputs, self.products, now_us)],
        }

    def sample_products(self, count: int, *, seed: int, text: str) -> list[Product]:
        """Sample products; see `Products.sample`."""
        return self.products.sample(count, seed=seed, time_us=_now_us(), text=text)


def _now_us() -> int:
    return time.time_ns() // 1000


def context_features(dataset: Dataset) -> list[str]:
    """Return the features that a request may name, without vectors and times."""
    return [
        feature.name
        for feature in dataset.input_features("events")
        if feature.side != "item" and not feature.from_clock and not isinstance(feature, Vector)
    ]


def read_values(file: Path, dataset: Dataset) -> dict[str, list[str]]:
    """Read values of context features from a file of lines FEATURE=VALUE, such as a release's `assets/categories`, the
    most frequent first; keep the first of each feature.

    Raises:
        InputError: the file can't be read.
    """
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: expected lines FEATURE=VALUE, as in a release's assets/categories: {error}") from error
    values: dict[str, list[str]] = {name: [] for name in context_features(dataset)}
    for line in lines:
        name, equals, value = line.partition("=")
        if equals and value and len(values.get(name, ())) < MAX_VALUES and name in values:
            values[name].append(value)
    return values
