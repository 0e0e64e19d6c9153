"""The shoppers that the page offers, and what is known of one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from components.contract.dataset import Dataset
from serving.features.catalogue import Users
from serving.features.request import Inputs
from serving.service.page.products import Product, Products, fact

OFFERED = 40


@dataclass(frozen=True)
class Past:
    """One event of a history: what it was, how long ago, and on what; where histories hold no ids, `product` is None and `fields` tell."""

    action: str
    age_s: float
    product: Product | None
    fields: dict[str, str]


def offered(state: Path, users: Users, *, seed: int = 0) -> list[str]:
    """Ids of some shoppers, sorted: by lot, of those that the last ingestion's state knows, or else the table of shoppers."""
    return known_to(state, seed=seed) or users.sample(OFFERED, np.random.default_rng(seed))


def known_to(state: Path, *, seed: int = 0) -> list[str]:
    """Ids of some shoppers that the last ingestion's state knows, drawn by lot, sorted; none where it knows nobody."""
    ids: list[Any] = []
    for path in sorted((state / "users").glob("*.parquet"))[:1]:
        keys = pq.ParquetFile(path).read(["key"])["key"]
        ids = keys.take(np.sort(np.random.default_rng(seed).permutation(len(keys))[:OFFERED])).to_pylist()
    return sorted(ids)


def facts_of(dataset: Dataset, users: Users, shopper: str, time_us: int) -> dict[str, str]:
    """What the table of shoppers says of one at a moment, as text."""
    if dataset.users is None or not shopper:
        return {}
    values = users.values(shopper, time_us)
    told = {feature.name: fact(feature, values[feature.name][0]) for feature in dataset.given("users") if feature.kind != "vector"}
    return {name: value for name, value in told.items() if value}


def past(dataset: Dataset, inputs: Inputs, products: Products, time_us: int) -> list[Past]:
    """The history that the model sees, the newest first."""
    history = dataset.history
    if history is None:
        return []
    tensors = {name: inputs.tensors[f"{history.name}_{name}"][0] for name in (*history.fields, "action", "age_s")}
    given = {feature.name: feature for feature in dataset.given("items")}
    events = []
    for at in reversed(range(int(inputs.tensors["n_history"][0]))):
        fields = {name: fact(given[name], tensors[name][at]) for name in history.fields if name in given}
        item = tensors["item"][at].decode() if "item" in history.fields else None
        product = products.by_ids([item], time_us)[0] if item else None
        events.append(Past(tensors["action"][at].decode(), float(tensors["age_s"][at]), product, fields))
    return events
