"""Small shops and models for rehearsals."""

from pathlib import Path

import tensorflow as tf

from components.contract.dataset import Dataset
from components.contract.load import parse_dataset
from components.schema import signatures

SHOP = """
name: shop
events: {path: e.csv, columns: {time: t, user: u, item: i, action: a, request: r, position: p}}
items: {path: i.csv, id: i}
actions: {view: {}, click: {label: 1}}
candidates: {from: impressions, action: view}
features:
  - {name: item, kind: id, side: item}
  - {name: price, kind: number, side: item, source: items}
  - {name: image, kind: vector, side: item, source: items, size: 2}
  - {name: device, kind: category, side: context}
  - {name: history, kind: history, side: user, length: 3, actions: [click], fields: [item]}
"""


def shop(serving: str = "{list_lengths: [2, 4]}") -> Dataset:
    return parse_dataset(f"{SHOP}serving: {serving}\n")


def example(name: str, prices: list[float], *, events: int = 1) -> bytes:
    """A request for as many products as there are prices."""

    def texts(*values: str) -> tf.train.Feature:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode() for value in values]))

    def numbers(*values: float) -> tf.train.Feature:
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))

    places = range(len(prices))
    features = {
        "request": texts(name),
        "item": texts(*(f"i{place}" for place in places)),
        "price": numbers(*prices),
        "image": numbers(*(float(number) for place in places for number in (place, -place))),
        "position": tf.train.Feature(int64_list=tf.train.Int64List(value=[len(prices) - 1 - place for place in places])),
        "device": texts("phone"),
        "history_item": texts(*(f"h{event}" for event in range(events))),
        "history_action": texts(*["click"] * events),
        "history_age_s": numbers(*[60.0] * events),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def export_by_price(path: Path, dataset: Dataset, *, work: int = 0) -> Path:
    """A model whose score is sigmoid(price / 10), after `work` products of large matrices."""

    def score(features: dict[str, tf.Tensor], _splits: tf.Tensor) -> dict[str, tf.Tensor]:
        prices = features["price"].flat_values
        matrix = tf.fill([800, 800], tf.reduce_sum(prices) * 1e-30)
        for _ in range(work):
            matrix = tf.matmul(matrix, matrix)
        return {"scores": tf.sigmoid(prices / 10) + tf.reduce_sum(matrix) * 0}

    signatures.save(tf.Module(), score, str(path), dataset=dataset)
    return path
