"""Measure the milliseconds from a request to the model's tensors, for a list of candidates, from state in memory.

    python -m benchmarks.serving.service_features [--candidates 200 1000] [--requests 2000]

Uses the simulated shop's dataset file, and a random catalogue of 20,000 items and 5,000 shoppers with full histories.
p50 and p99 of sequential requests in one thread, of recording a list, and of the state alone.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.contract.dataset import Dataset
from components.contract.load import load_dataset
from serving.features.build_tensors import RequestFeatures
from serving.features.catalogue import Catalogue, load_catalogue
from serving.features.events import Changes, ImpressionList, Interaction
from serving.features.request import Request
from serving.state.interface import plans_of
from serving.state.memory import MemoryStates

DATASET = Path(__file__).parents[2] / "examples" / "simulated_shop.yaml"
ITEMS, USERS = 20_000, 5_000
START_US, SECOND = 1_770_000_000_000_000, 1_000_000


def made_up(dataset: Dataset) -> Catalogue:
    """Generate a catalogue with plausible texts."""
    draw = np.random.default_rng(1)
    words = [f"word{n}" for n in range(500)]

    def texts(size: int) -> pa.Array:
        return pa.array([" ".join(draw.choice(words, 4)) for _ in range(size)], pa.large_string())

    def ids(letter: str, size: int) -> pa.Array:
        return pa.array([f"{letter}{n:06d}" for n in range(size)], pa.large_string())

    items = {"item": ids("p", ITEMS)}
    for feature in dataset.input_features("items"):
        items[feature.name] = pa.array(draw.random(ITEMS), pa.float32()) if feature.kind == "number" else texts(ITEMS)
    users = {"user": ids("u", USERS)} | {feature.name: texts(USERS) for feature in dataset.input_features("users")}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "catalogue"
        folder.mkdir()
        pq.write_table(pa.table(items), folder / "items.parquet")
        pq.write_table(pa.table(users), folder / "users.parquet")
        return load_catalogue(Path(name), dataset)


def recorded(states: MemoryStates, changes: Changes, event: ImpressionList) -> None:
    """Take a list in."""
    change = changes.from_event(event, now_us=event.time_us)
    assert change is not None
    states.record(change)


def timed(calls: list[Callable[[], object]]) -> str:
    """Measure the milliseconds at p50 and p99."""
    seconds = []
    for call in calls:
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return "p50 {:.3f} ms, p99 {:.3f} ms".format(*(np.percentile(seconds, (50, 99)) * 1e3))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, nargs="+", default=[200, 1000])
    parser.add_argument("--requests", type=int, default=2000)
    args = parser.parse_args()
    dataset = load_dataset(DATASET)
    catalogue = made_up(dataset)
    states = MemoryStates(plans_of(dataset), catalogue.codes)
    features, changes = RequestFeatures(dataset, catalogue, states), Changes(dataset, catalogue)
    draw = np.random.default_rng(2)
    now_us = START_US + 10**12
    for n in range(30 * USERS):
        done = Interaction(
            shopper=f"u{n % USERS:06d}", action="click", item=f"p{draw.integers(ITEMS):06d}", request=f"r{n}", time_us=START_US + n * SECOND
        )
        change = changes.from_event(done, now_us=now_us)
        assert change is not None
        states.record(change)
    for length in args.candidates:
        lists = [[f"p{row:06d}" for row in draw.choice(ITEMS, length, replace=False)] for _ in range(args.requests + 50)]
        requests = [
            Request(
                shopper=f"u{draw.integers(USERS):06d}",
                candidates=items,
                time_us=now_us,
                session="s1",
                context={"device": "mobile", "page": "search", "query": "red shoes"},
            )
            for items in lists
        ]
        shown = [
            ImpressionList(shopper=r.shopper, request=f"{length}-{n}", time_us=now_us, items=r.candidates) for n, r in enumerate(requests)
        ]
        one: list[Callable[[], object]] = [partial(features.inputs, request) for request in requests]
        state: list[Callable[[], object]] = [partial(states.known, r.shopper, list(r.candidates), r.time_us) for r in requests]
        written: list[Callable[[], object]] = [partial(recorded, states, changes, event) for event in shown]
        for name, calls in (("tensors of a request", one), ("  of which state", state), ("a list recorded", written)):
            for call in calls[:50]:
                call()
            print(f"{length} candidates: {name}: {timed(calls[50:])}")


if __name__ == "__main__":
    main()
