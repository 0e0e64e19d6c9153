"""A small simulated shop, ingested offline, and its log as a service would have met it: event by event."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import tensorflow as tf

from components.contract.columns import columns, input_columns
from components.contract.dataset import Dataset
from components.contract.load import parse_dataset
from components.ingest.sources.files import layout
from components.simulator import ShopConfig, simulate
from serving.features.build_tensors import RequestFeatures
from serving.features.catalogue import Catalogue, load_catalogue
from serving.features.events import Changes, ImpressionList, Interaction
from serving.features.request import Inputs, Request
from serving.state.interface import StateStores
from tests.components.ingest.without_beam import NOW_US, job_of, run_steps

DATASET = Path(__file__).resolve().parents[3] / "examples" / "simulated_shop.yaml"
CONTEXT = ("device", "page", "query")


@dataclass(frozen=True)
class Shop:
    """What ingestion left of a log, and where the log lies."""

    dataset: Dataset
    data: Path
    state: Path
    examples: dict[str, dict[str, Any]]  # by request: column to values, as TensorFlow parses them

    def catalogue(self) -> Catalogue:
        return load_catalogue(self.state, self.dataset)


def ingested_shop(folder: Path, *, events: int, text: str = DATASET.read_text(encoding="utf-8")) -> Shop:
    simulate(folder / "data", ShopConfig(events=events, seed=3, days=20))
    return ingested(text, folder / "data", folder / "out")


def ingested(text: str, data: Path, out: Path) -> Shop:
    dataset = parse_dataset(text)
    run_steps(job_of(text, data, out, partitions=2), layout(dataset, str(data)).blocks)
    return Shop(dataset, data, out / "state", parsed_examples(dataset, out / "examples"))


def parsed_examples(dataset: Dataset, folder: Path) -> dict[str, dict[str, Any]]:
    dtypes = {"string": tf.string, "int64": tf.int64, "float32": tf.float32}
    spec = {column.name: tf.io.RaggedFeature(dtypes[column.dtype]) for column in columns(dataset)}
    records = [record for path in sorted(folder.glob("*/part-*")) for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()]
    parsed = tf.io.parse_example(records, spec)
    whole = {name: np.split(values.values.numpy(), values.row_splits.numpy()[1:-1]) for name, values in parsed.items()}
    return {whole["request"][row][0].decode(): {name: whole[name][row] for name in whole} for row in range(len(records))}


def moments(shop: Shop) -> Iterator[tuple[list[Request], list[ImpressionList | Interaction]]]:
    """The log in order of time: what is asked at a moment, and what then comes of it, lists first."""
    log = pl.concat([pl.read_parquet(path) for path in sorted((shop.data / "events").glob("*.parquet"))])
    rows = log.with_columns(pl.col("time").cast(pl.Int64)).sort("time", maintain_order=True).to_dicts()
    for time_us, together in groupby(rows, key=lambda row: row["time"]):
        lists: dict[str, list[dict[str, Any]]] = defaultdict(list)
        done: list[ImpressionList | Interaction] = []
        for row in together:
            if row["action"] == "impression":
                lists[row["request_id"]].append(row)
            else:
                who = {"shopper": row["user_id"], "request": row["request_id"], "session": row["session_id"]}
                done.append(Interaction(action=row["action"], time_us=time_us, item=row["item_id"] or "", **who))
        asked, shown = [], list[ImpressionList | Interaction]()
        for name, candidates in sorted(lists.items()):
            candidates.sort(key=lambda row: row["position"])
            first = candidates[0]
            who = {"shopper": first["user_id"], "request": name, "session": first["session_id"], "time_us": time_us}
            items = [row["item_id"] for row in candidates]
            asked.append(Request(candidates=items, context={key: first[key] for key in CONTEXT}, **who))
            shown.append(ImpressionList(items=items, **who))
        yield asked, shown + done


def replayed(shop: Shop, states: StateStores, catalogue: Catalogue, *, upto: int | None = None) -> Iterator[tuple[Request, Inputs]]:
    """What the model would have been asked at each request of the log, or of its first `upto`."""
    assembled, changes = RequestFeatures(shop.dataset, catalogue, states), Changes(shop.dataset, catalogue)
    asked = 0
    for requests, happened in moments(shop):
        for request in requests:
            yield request, assembled.inputs(request)
            asked += 1
        if asked == upto:
            return
        for event in happened:
            change = changes.from_event(event, now_us=NOW_US)
            assert change is not None
            assert states.record(change)


def differing(dataset: Dataset, inputs: Inputs, example: dict[str, Any]) -> list[str]:
    """Input columns of which a single bit differs from the example's; the lengths count too."""
    wrong = []
    for column in input_columns(dataset):
        served, written = inputs.tensors[column.name], example[column.name]
        same_text = served.ravel().tolist() == written.tolist()
        same_bits = served.dtype == written.dtype and served.tobytes() == written.tobytes()
        if not (same_text if column.dtype == "string" else same_bits):
            wrong.append(f"{column.name}: {served} is not {written}")
    lengths = {"n_candidates": len(example["item"])}
    lengths |= {"n_history": len(example[f"{dataset.history.name}_age_s"])} if dataset.history else {}
    wrong += [name for name, length in lengths.items() if inputs.tensors[name].tolist() != [length]]
    return wrong


def compared(shop: Shop, found: Iterator[tuple[Request, Inputs]]) -> int:
    """How many requests were compared; each must equal its example."""
    number = 0
    for request, inputs in found:
        example = shop.examples.get(request.request)
        if example is not None:
            assert differing(shop.dataset, inputs, example) == []
            assert inputs.interactions == example["interactions"][0]
            number += 1
    return number


def with_history(shop: Shop) -> int:
    """How many of the shop's requests have a history, so that comparing them says something."""
    return sum(len(example["history_item"]) > 0 for example in shop.examples.values())


def dtype_names(inputs: Inputs) -> dict[str, str]:
    return {name: np.dtype(values.dtype).name for name, values in inputs.tensors.items()}
