"""What the page asks the service for beside what every shop asks: what there is to choose from, and what is known of a shopper."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, final

from components.contract.dataset import Dataset
from components.contract.errors import InputError, ModelUnavailable
from components.contract.features import Vector
from serving.client.model import ModelClient
from serving.features.catalogue import Catalogue
from serving.features.request import Request
from serving.service.page.products import Product, Products
from serving.service.page.shoppers import facts_of, past
from serving.service.state.state_client import Knowledge

WAIT_S = 1.0
MAX_VALUES = 60  # of a feature, in a list to choose from


@final
class Page:
    """Of one shop.

    Args:
        dataset: of the service.
        catalogue: likewise.
        knowledge: likewise.
        model: likewise.
        shoppers: that are offered.
        values: of features of the context, that are offered.
        label: of the version that is asked where no arm names another.
        guarded: whether events need a token.
    """

    def __init__(
        self,
        dataset: Dataset,
        catalogue: Catalogue,
        *,
        knowledge: Knowledge,
        model: ModelClient,
        shoppers: Sequence[str],
        values: Mapping[str, Sequence[str]],
        label: str,
        guarded: bool,
    ) -> None:
        self._dataset, self._catalogue, self._knowledge, self._model = dataset, catalogue, knowledge, model
        self._shoppers, self._values, self._label, self._guarded = shoppers, values, label, guarded
        self.products = Products(dataset, catalogue)

    async def choices(self) -> dict[str, Any]:
        """What there is to choose from. Where the model server doesn't answer there are no versions, and `fault` says why."""
        fault = ""
        versions: tuple[int, ...] = ()
        try:
            versions = await self._model.versions(timeout_s=WAIT_S)
        except ModelUnavailable as error:
            fault = str(error)
        users, now_us = self._catalogue.users, _now_us()
        return {
            "shop": self._dataset.name,
            "shoppers": [{"id": each, "facts": facts_of(self._dataset, users, each, now_us)} for each in self._shoppers],
            "context": [{"name": name, "values": list(self._values.get(name, ()))} for name in context_features(self._dataset)],
            "actions": [name for name in self._dataset.label_gains if self._dataset.actions[name].item],
            "versions": list(versions),
            "label": self._label,
            "guarded": self._guarded,
            "fault": fault,
        }

    async def shopper(self, shopper: str, session: str) -> dict[str, Any]:
        """What is known of a shopper now.

        Raises:
            InputError: the request can't be answered as it stands.
        """
        now_us = _now_us()
        shopper = self._catalogue.second_ids.shopper(shopper, now_us)
        # The shopper's features don't depend on the candidates, of which a request has at least one.
        request = Request(shopper=shopper, candidates=[" "], time_us=now_us, session=session)
        inputs, known = await self._knowledge.inputs(request, timeout_s=WAIT_S)
        return {
            "facts": facts_of(self._dataset, self._catalogue.users, shopper, now_us),
            "known": known,
            "interactions": inputs.interactions,
            "history": [asdict(each) for each in past(self._dataset, inputs, self.products, now_us)],
        }

    def drawn(self, count: int, *, seed: int, text: str) -> list[Product]:
        """Products by lot; see `Products.drawn`."""
        return self.products.drawn(count, seed=seed, time_us=_now_us(), text=text)


def _now_us() -> int:
    return time.time_ns() // 1000


def context_features(dataset: Dataset) -> list[str]:
    """The features that a request may name, but for vectors, which nobody types, and clocks, which the service reads itself."""
    return [
        feature.name
        for feature in dataset.given("events")
        if feature.side != "item" and not feature.key.startswith("time.") and not isinstance(feature, Vector)
    ]


def read_values(file: Path, dataset: Dataset) -> dict[str, list[str]]:
    """Values of the features that a request may name, out of a file with a line FEATURE=VALUE for each, such as a release's
    `assets/categories`; of each feature the first, in the file's order, which is there the most frequent first.

    Raises:
        InputError: the file can't be read.
    """
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: expected lines FEATURE=VALUE, as in a release's assets/categories: {error}") from error
    found: dict[str, list[str]] = {name: [] for name in context_features(dataset)}
    for line in lines:
        name, equals, value = line.partition("=")
        if equals and value and len(found.get(name, ())) < MAX_VALUES and name in found:
            found[name].append(value)
    return found
