"""Make small random requests of a shop that has every kind of feature, and their Transform graph."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tfx_bsl.public import tfxio

from components.contract.columns import Column, columns
from components.contract.dataset import Dataset
from components.contract.load import parse_dataset
from components.schema.schema import schema
from trainer.preprocess import preprocessing_fn

EVERY_KIND = """
name: every_kind
seed: 3
events: {path: e.parquet, columns: {time: t, user: u, item: i, action: a, request: r, position: p}}
items: {path: i.parquet, id: i}
users: {path: u.parquet, id: u}
actions: {view: {}, click: {label: 1}, buy: {label: 3}}
candidates: {from: impressions, action: view}
half_lives: [1h, 1d]
features:
  - {name: device, kind: category, side: context}
  - {name: hour, kind: category, side: context, column: time.hour}
  - {name: query, kind: text, side: context, buckets: 50, dim: 4}
  - {name: temperature, kind: number, side: context}
  - {name: taste, kind: vector, side: user, size: 3}
  - {name: session_events, kind: state, side: context, measure: session_events}
  - {name: user, kind: id, side: user, buckets: 40, dim: 4}
  - {name: user_clicks, kind: state, side: user, measure: total, action: click}
  - {name: last, kind: history, side: user, length: 5, actions: [click, buy], fields: [item, brand, price]}
  - {name: item, kind: id, side: item, vocabulary: 30, oov_buckets: 4, dim: 4}
  - {name: shop, kind: id, side: item, buckets: 20, dim: 4}
  - {name: brand, kind: category, side: item, dim: 4}
  - {name: title, kind: text, side: item, buckets: 50, dim: 4}
  - {name: tags, kind: multi, side: item, buckets: 20, dim: 4}
  - {name: image, kind: vector, side: item, size: 2}
  - {name: price, kind: number, side: item, log: true}
  - {name: position, kind: number, side: item}
  - {name: weight, kind: number, side: item}
  - {name: item_clicks, kind: state, side: item, measure: count, action: click}
  - {name: item_ctr, kind: state, side: item, measure: rate, action: click, per: view}
  - {name: item_age, kind: state, side: item, measure: recency, action: click}
model: {batch_requests: 16, epochs: 6, learning_rate: 0.001, factors: 4}
"""

NO_SHOPPER = """
name: no_shopper
seed: 3
events: {path: e.csv, columns: {time: t, user: u, item: i, action: a, request: r}}
actions: {view: {}, click: {label: 1}}
candidates: {from: impressions, action: view}
features:
  - {name: amount, kind: number, side: item, source: events}
  - {name: amount_in_list, kind: list, side: item, of: amount}
  - {name: place, kind: category, side: item, source: events}
  - {name: never, kind: number, side: item, source: events}
  - {name: never_in_list, kind: list, side: item, of: never}
  - {name: nowhere, kind: category, side: item, source: events}
model: {batch_requests: 32, epochs: 4}
"""

WORDS = ["red shoe", "Blue SHOE", "green hat, wool", "", "scarf"]


def random_request(
    random: np.random.Generator, table: tuple[Column, ...], *, candidates: int, events: int, missing: float = 0.1
) -> dict[str, list[Any]]:
    """Draw the values of one request by column; the label depends on the candidate's `price` or `amount`."""
    sizes = {"request": 1, "candidate": candidates, "history": events}
    values: dict[str, list[Any]] = {}
    for column in table:
        count = sizes[column.axis] * column.size
        if column.name == "position":
            values[column.name] = list(range(count))
        elif column.name.endswith("_action"):
            values[column.name] = [str(each) for each in random.choice(["click", "buy"], count)]
        elif column.name in ("query", "title"):
            values[column.name] = [str(each) for each in random.choice(WORDS, count)]
        elif column.name == "tags":
            values[column.name] = [str(each) for each in random.choice(["a|b", "", "c", "a||c|d"], count)]
        elif column.name == "hour":
            values[column.name] = [str(random.integers(24))]
        elif column.name in ("never", "nowhere"):
            values[column.name] = ["" if column.dtype == "string" else math.nan] * count
        elif column.dtype == "string":
            values[column.name] = ["" if random.random() < missing else f"{column.name[0]}{random.integers(12)}" for _ in range(count)]
        elif column.dtype == "int64":
            values[column.name] = [int(each) for each in random.integers(0, 1000, count)]
        else:
            kept = column.name.endswith("age_s")
            values[column.name] = [
                math.nan if random.random() < missing and not kept else float(abs(each) * 10) for each in random.normal(size=count)
            ]
    driver = values["price"] if "price" in values else values["amount"]
    for column in table:
        if column.role == "label":
            values[column.name] = [float(each > 7) for each in driver]
    return values


def serialize(values: dict[str, list[Any]]) -> bytes:
    """Serialize the request as a tf.Example."""
    features = {}
    for name, each in values.items():
        if each and isinstance(each[0], str):
            features[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode() for value in each]))
        elif each and isinstance(each[0], int):
            features[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=each))
        elif each:
            features[name] = tf.train.Feature(float_list=tf.train.FloatList(value=each))
        else:
            features[name] = tf.train.Feature()
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def write(folder: Path, serialized: list[bytes]) -> str:
    """Write one file of examples; return its pattern."""
    folder.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(folder / "part-00000-of-00001")) as writer:
        for each in serialized:
            writer.write(each)
    return str(folder / "*")


def transform(dataset_text: str, pattern: str, folder: Path) -> str:
    """Run Transform on the examples as TFX does, from the contract's schema; return the graph's folder."""
    source = tfxio.TFExampleRecord(pattern, schema=schema(parse_dataset(dataset_text)), telemetry_descriptors=["test"])
    with tft_beam.Context(temp_dir=str(folder / "tmp")), beam.Pipeline(runner="FnApiRunner") as pipeline:
        raw = (pipeline | source.BeamSource(), source.TensorAdapterConfig())
        fitted = raw | tft_beam.AnalyzeDataset(lambda inputs: preprocessing_fn(inputs, {"dataset": dataset_text}))
        _ = fitted | tft_beam.WriteTransformFn(str(folder / "graph"))
    return str(folder / "graph")


def shop(dataset_text: str, folder: Path, *, requests: int, seed: int = 0) -> SimpleNamespace:
    """Make examples and graph of a dataset file."""
    dataset: Dataset = parse_dataset(dataset_text)
    table, random = columns(dataset), np.random.default_rng(seed)
    rows = [
        random_request(random, table, candidates=int(random.integers(1, 9)), events=int(random.integers(0, 6))) for _ in range(requests)
    ]
    serialized = [serialize(row) for row in rows]
    train = write(folder / "Split-train", serialized[: requests * 3 // 4])
    evaluate = write(folder / "Split-eval", serialized[requests * 3 // 4 :])
    graph = transform(dataset_text, train, folder)
    return SimpleNamespace(
        dataset=dataset,
        text=dataset_text,
        rows=rows,
        serialized=serialized,
        train=train,
        eval=evaluate,
        graph=graph,
        tft=tft.TFTransformOutput(graph),
        serialize=serialize,
    )


@pytest.fixture(scope="session")
def every_kind(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A shop with every kind of feature but list-relative ones."""
    return shop(EVERY_KIND, tmp_path_factory.mktemp("every_kind"), requests=256)


@pytest.fixture(scope="session")
def no_shopper(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A shop without history, user and item among its features; with a list-relative one, and columns without a value."""
    return shop(NO_SHOPPER, tmp_path_factory.mktemp("no_shopper"), requests=256)


@pytest.fixture(scope="session")
def making() -> SimpleNamespace:
    """Return the functions to make another shop with."""
    return SimpleNamespace(serialize=serialize, write=write, transform=transform)
