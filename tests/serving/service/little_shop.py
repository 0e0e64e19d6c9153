"""A shop of six products with state, a catalogue by hand, and a model whose scores follow from its inputs by a formula."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from components.contract.dataset import Dataset
from components.contract.load import parse_dataset
from components.schema import signatures
from components.schema.parsing import Features
from serving.features.catalogue import Catalogue, load_catalogue
from serving.state import snapshot
from serving.state.interface import plans_of
from serving.state.memory import MemoryStates

SHOP = """\
name: little
events:
  path: events.csv
  columns: {time: at, user: user, item: item, action: action, request: request, session: visit, revenue: paid, quantity: pieces}
  missing_user: guest
items: {path: items.csv, id: id}
users: {path: users.csv, id: id}
actions:
  impression: {}
  click: {label: 1}
  search: {item: false}
candidates: {from: impressions}
attribution: 1h
half_lives: [1d]
windows: {until: 2026-02-01}
features:
  - {name: device, kind: category, side: context, column: dev}
  - {name: taste, kind: vector, side: context, column: taste, size: 2}
  - {name: hour, kind: category, side: context, column: time.hour}
  - {name: country, kind: category, side: user}
  - {name: history, kind: history, side: user, length: 5, actions: [click], fields: [brand, price]}
  - {name: user_clicks, kind: state, side: user, measure: total, action: click}
  - {name: brand, kind: category, side: item}
  - {name: tags, kind: multi, side: item, separator: "|"}
  - {name: price, kind: number, side: item, source: items}
  - {name: shown_price, kind: number, side: item, source: events}
  - {name: look, kind: vector, side: item, source: events, size: 2}
  - {name: badges, kind: multi, side: item, source: events, separator: "|"}
  - {name: item_clicks, kind: state, side: item, measure: total, action: click}
"""
ITEMS = [f"p{number}" for number in range(6)]
PRICES = [10.0, 20.0, 30.0, 40.0, 50.0, 60.0]
BRANDS = ["Alder", "Kelso", "Alder", "Kelso", "Alder", "Kelso"]


def dataset() -> Dataset:
    return parse_dataset(SHOP)


def write_shop(base: Path) -> tuple[Path, Path]:
    """The dataset file and a state of which nobody knows anything yet."""
    text = lambda *values: pa.array(values, pa.large_string())  # noqa: E731
    state = base / "state"
    (state / "catalogue").mkdir(parents=True)
    items = {
        "item": text(*ITEMS),
        "brand": text(*BRANDS),
        "tags": text("new|sale", "", "sale", "", "", "new"),
        "price": pa.array(PRICES, pa.float32()),
    }
    pq.write_table(pa.table(items), state / "catalogue" / "items.parquet")
    pq.write_table(pa.table({"user": text("a", "b"), "country": text("DE", "FR")}), state / "catalogue" / "users.parquet")
    catalogue = load_catalogue(state, dataset())
    empty = base / "empty"
    snapshot.save(MemoryStates(plans_of(dataset()), catalogue.codes).snapshot(), empty)
    for path in empty.iterdir():
        path.rename(state / path.name)
    (base / "shop.yaml").write_text(SHOP)
    return base / "shop.yaml", state


def catalogue(state: Path) -> Catalogue:
    return load_catalogue(state, dataset())


def write_model(path: Path, *, weight: float, explains: bool = True, scores: Sequence[float] | None = None) -> None:
    """A ranker: weight * log(price) + clicks of the item + clicks of the user * hash of the brand; or scores that are always the same."""
    module = tf.Module()
    module.weight = tf.Variable(np.float32(weight))

    def flat(features: Features, name: str) -> Any:
        return getattr(features[name], "flat_values", features[name])

    def score(features: Features, splits: tf.Tensor) -> dict[str, tf.Tensor]:
        if scores is not None:
            return {"scores": tf.repeat(tf.constant(scores, tf.float32), splits[-1])}
        owner = tf.ragged.row_splits_to_segment_ids(splits)
        price = flat(features, "price")
        price = tf.where(tf.math.is_nan(price), 1.0, price)
        liking = tf.cast(tf.strings.to_hash_bucket_fast(flat(features, "brand"), 7), tf.float32)
        clicks = tf.gather(flat(features, "user_clicks"), owner)
        return {"scores": module.weight * tf.math.log(price) + flat(features, "item_clicks") + 0.1 * clicks * liking}

    def of(features: Features, splits: tf.Tensor) -> dict[str, tf.Tensor]:
        price = flat(features, "price")
        return {
            "attributions": tf.stack([module.weight * tf.math.log(price), flat(features, "item_clicks")], -1),
            "logits": score(features, splits)["scores"],
        }

    reasons = signatures.Reasons(of, ("price", "item_clicks")) if explains else None
    signatures.save(module, score, str(path), dataset=dataset(), reasons=reasons)
