"""The trainer on requests against the same network on one row an impression: impressions/s by the number of candidates.

    python -m benchmarks.training [--candidates 10 20 50] [--events 50] [--requests 64] [--steps 10]
    python -m benchmarks.training --wait DATASET.yaml --root runs/NAME

The first trains the ranker of examples/simulated_shop.yaml on generated inputs: once as requests, and once with each candidate a request of
its own that repeats the request's side and the whole history. Both see the same impressions in a step. Steps of the two take turns, so that
what else the machine does meets both; the fastest of each counts.

The second tells what share of its time the trainer waits for input, on the examples of a run: in the first epoch, which parses and
transforms them, and in the second, where a split that fits is kept in memory.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
import tf_keras as keras
from rich.console import Console
from rich.table import Table

from benchmarks.quality.split_data import files, newest
from components.contract.dataset import Dataset
from components.contract.features import Category
from components.contract.load import load_dataset
from components.schema.parsing import Features
from trainer.config import RankerConfig, ranker_config
from trainer.data.input_pipeline import Epochs, TrainingExamples
from trainer.export.integrated_gradients import split_candidates
from trainer.fit.build import ranker
from trainer.model.network_inputs import AGE_BUCKETS, BUCKETS, CATEGORIES, SHOWN_POSITION, layout
from trainer.model.ranker import Ranker

SHOP = Path(__file__).parents[2] / "examples" / "simulated_shop.yaml"
KNOWN_CATEGORIES = 100
WORDS = 5  # of a text

Batch = tuple[Features, tf.RaggedTensor]


def generated(dataset: Dataset, *, requests: int, candidates: int, events: int, seed: int) -> Batch:
    """Transformed features and labels of requests that all have as many candidates and events."""
    rng, plan = np.random.default_rng(seed), layout(dataset)
    sizes = {"request": 1, "candidate": candidates, "history": events}

    def on(axis: str, flat: Any) -> Any:
        return flat if axis == "request" else tf.RaggedTensor.from_uniform_row_length(flat, tf.constant(sizes[axis], tf.int64))

    def whole(below: int, *shape: int) -> tf.Tensor:
        return tf.constant(rng.integers(0, below, shape), tf.int64)

    features: Features = {}
    for token in plan.tokens:
        known = KNOWN_CATEGORIES if isinstance(token.feature, Category) else token.feature.hashed or KNOWN_CATEGORIES
        features[token.column.name] = on(token.column.axis, whole(known, requests * sizes[token.column.axis]))
    for bag in plan.bags:
        words = whole(bag.feature.buckets, requests * sizes[bag.column.axis] * WORDS)
        features[bag.column.name] = on(bag.column.axis, tf.RaggedTensor.from_uniform_row_length(words, tf.constant(WORDS, tf.int64)))
    for axis in ("request", "candidate", "history"):
        numbers, rows = len(plan.numbers(axis)), requests * sizes[axis]
        if numbers:
            features[f"{axis}.values"] = on(axis, tf.constant(rng.normal(size=(rows, numbers)), tf.float32))
            features[f"{axis}.buckets"] = on(axis, whole(BUCKETS, rows, numbers))
            features[f"{axis}.within"] = on(axis, tf.constant(rng.random((rows, numbers)), tf.float32))
    features["history.action"] = on("history", whole(len(plan.actions), requests * events))
    features["history.age"] = on("history", whole(AGE_BUCKETS, requests * events))
    features[SHOWN_POSITION] = on("candidate", tf.tile(tf.range(candidates, dtype=tf.int64), [requests]))
    labels = on("candidate", tf.constant(rng.random(requests * candidates) < 0.1, tf.float32))
    return features, labels


def as_rows(dataset: Dataset, batch: Batch) -> Batch:
    """The same impressions, each a request of one candidate."""
    features, labels = batch
    one = tf.constant(1, tf.int64)
    alone = tf.RaggedTensor.from_uniform_row_length
    read = {name: values for name, values in features.items() if name != SHOWN_POSITION}
    shown = alone(features[SHOWN_POSITION].values, one)
    return split_candidates(read, labels.value_rowids(), layout(dataset)) | {SHOWN_POSITION: shown}, alone(labels.values, one)


def impressions_a_second(dataset: Dataset, batch: Batch, *, steps: int) -> tuple[float, float]:
    """Of requests and of rows, by their fastest step."""
    config = RankerConfig()
    of_shapes = []
    for inputs in (batch, as_rows(dataset, batch)):
        model = Ranker(dataset, config, {CATEGORIES: KNOWN_CATEGORIES})
        model.compile(optimizer=keras.optimizers.legacy.Adam(config.learning_rate))
        of_shapes.append((tf.function(model.train_step), inputs))
        of_shapes[-1][0](inputs)  # traces
    seconds = [[_seconds(step, inputs) for step, inputs in of_shapes] for _ in range(steps)]
    impressions = int(tf.size(batch[1].values))
    requests, rows = (impressions / min(each) for each in zip(*seconds, strict=True))
    return requests, rows


def _seconds(step: Callable[[Batch], Any], batch: Batch) -> float:
    begin = time.perf_counter()
    tf.nest.map_structure(np.asarray, step(batch))
    return time.perf_counter() - begin


def waiting(dataset: Dataset, root: Path) -> list[tuple[float, float]]:
    """Seconds of an epoch that went by in waiting for a batch, and all its seconds, for two epochs."""
    graph = tft.TFTransformOutput(str(newest(root, "Transform/transform_graph")))
    config = ranker_config(dataset)
    train_files = files(newest(root, "EventExampleGen/examples"), "train")
    training = Epochs(TrainingExamples(train_files), graph, dataset=dataset, requests=config.batch_requests, seed=1)
    model = ranker(graph, dataset=dataset, config=config)
    model.compile(optimizer=keras.optimizers.legacy.Adam(config.learning_rate))
    step = tf.function(model.train_step, reduce_retracing=True)
    for batch in training.epoch(0).take(2):
        step(batch)  # traces
    waits = []
    for number in range(2):
        waited, begin = 0.0, time.perf_counter()
        iterator = iter(training.epoch(number))
        while True:
            asked = time.perf_counter()
            batch = next(iterator, None)
            waited += time.perf_counter() - asked
            if batch is None:
                break
            _seconds(step, batch)
        waits.append((waited, time.perf_counter() - begin))
    return waits


def main() -> None:
    """Print the table."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, nargs="+", default=[10, 20, 50])
    parser.add_argument("--events", type=int, default=50, help="in the history")
    parser.add_argument("--requests", type=int, default=64, help="in a step")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--wait", metavar="DATASET.yaml", help="tell the share of waiting in a run's training instead")
    parser.add_argument("--root", type=Path, help="folder of that run")
    args = parser.parse_args()
    if args.wait:
        for epoch, (waited, seconds) in enumerate(waiting(load_dataset(args.wait), args.root), start=1):
            print(f"epoch {epoch}: {waited:.2f} of {seconds:.2f} s waited for input, {waited / seconds:.1%}")
        return
    dataset = load_dataset(SHOP)
    table = Table(title=f"Training, {args.events} events of history, {args.requests} requests a step: impressions/s")
    for name in ("candidates", "one row an impression", "requests", "ratio"):
        table.add_column(name, justify="right")
    for candidates in args.candidates:
        batch = generated(dataset, requests=args.requests, candidates=candidates, events=args.events, seed=dataset.seed)
        requests, rows = impressions_a_second(dataset, batch, steps=args.steps)
        table.add_row(str(candidates), f"{rows:,.0f}", f"{requests:,.0f}", f"{requests / rows:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
