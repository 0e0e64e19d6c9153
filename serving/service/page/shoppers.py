"""Sample shoppers for the page, and describe one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from components.contract.dataset import Dataset
from serving.features.catalogue import Users
from serving.features.request import Inputs
from serving.service.page.products import Product, Products, fact

SAMPLE_SIZE = 40


@dataclass(frozen=True)
class HistoryEvent:
    """Hold an event of a history; where histories hold no ids, `product` is None and `fields` describe it."""

    action: str
    age_s: float
    product: Product | None
    fields: dict[str, str]


def sample_shoppers(state: Path, users: Users, *, seed: int = 0) -> list[str]:
    """Sample ids of shoppers in the last ingestion's state, or else in the table of shoppers; sorted."""
    return known_shoppers(state, seed=seed) or users.sample(SAMPLE_SIZE, np.random.default_rng(seed))


def known_shoppers(state: Path, *, seed: int = 0) -> list[str]:
    """Sample ids of shoppers in the last ingestion's state, sorted; empty where it has none."""
    ids: list[Any] = []
    for path in sorted((state / "users").glob("*.parquet"))[:1]:
        keys = pq.ParquetFile(path).read(["key"])["key"]
        ids = keys.take(np.sort(np.random.default_rng(seed).permutation(len(keys))[:SAMPLE_SIZE])).to_pylist()
    return sorted(ids)


def shopper_facts(dataset: Dataset, users: Users, shopper: str, time_us: int) -> dict[str, str]:
    """Return the values of a shopper in the table of shoppers at a time, as text."""
    if dataset.users is None or not shopper:
        return {}
    values = users.values(shopper, time_us)
    facts = {
        feature.name: fact(feature, values[feature.name][0]) for feature in dataset.input_features("users") if feature.kind != "vector"
    }
    return {name: value for name, value in facts.items() if value}


def recent_history(dataset: Dataset, inputs: Inputs, products: Products, time_us: int) -> list[HistoryEvent]:
    """Return the history that the model sees, the newest first."""
    history = dataset.history
    if history is None:
        return []
    tensors = {name: inputs.tensors[f"{history.name}_{name}"][0] for name in (*history.fields, "action", "age_s")}
    item_features = {feature.name: feature for feature in dataset.input_features("items")}
    events = []
    for index in reversed(range(int(inputs.tensors["n_history"][0]))):
        fields = {name: fact(item_features[name], tensors[name][index]) for name in history.fields if name in item_features}
        item = tensors["item"][index].decode() if "item" in history.fields else None
        product = products.by_ids([item], time_us)[0] if item else None
        events.append(HistoryEvent(tensors["action"][index].decode(), float(tensors["age_s"][index]), product, fields))
    return events
