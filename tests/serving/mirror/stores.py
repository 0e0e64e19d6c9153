"""Stores with releases that hold a word instead of a model."""

import json
from collections.abc import Mapping

from components.contract.storage.labels import CONFIG_FILE, FILE, Labels
from components.contract.storage.object_store import Address


def put(file: Address, content: str) -> None:
    if file.local is not None:
        file.local.parent.mkdir(parents=True, exist_ok=True)
    file.write(content.encode())


def release(store: str, version: int, *, whole: bool = True, state: bool = True) -> None:
    base = Address.of(store)
    if state:
        put(base / f"serving/{version}/state/index.parquet", f"index {version}")
        put(base / f"serving/{version}/dataset.yaml", f"name: shop {version}")
    put(base / f"releases/{version}/variables/variables.index", f"weights {version}")
    put(base / f"releases/{version}/saved_model.pb", f"graph {version}")
    if whole:
        put(base / f"releases/{version}/manifest.json", json.dumps({"dataset": "shop"}))


def label(store: str, carried: Mapping[str, tuple[int, ...]]) -> None:
    labels = Labels("shop", f"{store}/releases", carried)
    put(Address.of(store) / "releases" / CONFIG_FILE, labels.model_config(f"{store}/releases"))
    put(Address.of(store) / "releases" / FILE, labels.to_json())
