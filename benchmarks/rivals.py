"""The model of a run against dull rules, and on a simulated shop against the truth, over the test window.

    python -m benchmarks.rivals DATASET.yaml --root runs/NAME [--truth DIR]

Rules, where the data has what they need: shown order; popularity (longest count or total of the first such item feature); the item last
seen first, then shown order or popularity; items by how often they stand in the shopper's history, then by popularity.
With --truth (the `truth` folder of a simulated shop) also the true relevance, and how far the model's AUC is from 0.5 to that of the truth.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import tensorflow as tf
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from components.contract.columns import columns, gains, state_columns
from components.contract.dataset import Dataset
from components.contract.load import load_dataset
from components.evaluation.sums import sums
from components.schema.parsing import parse

BATCH = 512
SHOWN = ("auc", "gauc", "precision_at_5", "ndcg_at_10", "mrr")

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class TestWindow:
    """Requests of the test window, candidate by candidate."""

    labels: Scores  # (N,)
    gains: Scores  # (N,)
    lengths: NDArray[np.int64]  # (R,)
    model: Scores  # (N,)
    rules: dict[str, Scores]  # (N,) each
    ids: pl.DataFrame  # N rows: request_id, item_id


def test_window(dataset: Dataset, examples: Path, model: Path) -> TestWindow:
    """Read the test split and score it by the exported model's door for examples."""
    door = tf.saved_model.load(str(model)).signatures["examples"]
    batches = list(_batches(dataset, examples, door))
    whole: dict[str, Any] = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    rules = {name.removeprefix("rule: "): values for name, values in whole.items() if name.startswith("rule: ")}
    ids = pl.DataFrame({"request_id": whole["request"], "item_id": whole["item"]})
    return TestWindow(whole["label"], whole["gain"], whole["length"], whole["model"], rules, ids)


def _batches(dataset: Dataset, examples: Path, door: Callable[..., Any]) -> Iterator[dict[str, Any]]:
    table = columns(dataset)
    files = sorted(map(str, examples.glob("Split-test/*")))
    for records in tf.data.TFRecordDataset(files).batch(BATCH):
        features = parse(records, table)
        lengths = features["label"].row_lengths().numpy()
        inside = np.arange(lengths.max(initial=0)) < lengths[:, None]
        gain = np.max([weight * features[name].flat_values.numpy() for name, weight in gains(dataset).items()], axis=0)
        yield {
            "label": features["label"].flat_values.numpy(),
            "gain": gain.astype(np.float32),
            "length": lengths,
            "model": door(examples=records)["scores"].numpy()[:, : inside.shape[1]][inside],
            "request": np.repeat(features["request"].numpy(), lengths).astype(str),
            "item": features["item"].flat_values.numpy().astype(str),
        } | {f"rule: {name}": values for name, values in _rules(dataset, features, lengths).items()}


def _rules(dataset: Dataset, features: dict[str, Any], lengths: NDArray[np.int64]) -> dict[str, Scores]:
    rules: dict[str, Scores] = {}
    position = features["position"].flat_values.numpy()
    if (position >= 0).all():
        rules["shown order"] = (-position).astype(np.float32)
    counted = [f for f in dataset.state_features if f.side == "item" and f.measure in ("count", "total")]
    if counted:
        rules["popularity"] = features[state_columns(dataset, counted[0])[-1]].flat_values.numpy()
    if dataset.history and "item" in dataset.history.fields and rules:
        place, times = _in_history(features["item"], features[f"{dataset.history.name}_item"], lengths)
        name, base = next(iter(rules.items()))
        rules[f"last seen, then {name}"] = np.where(place == 0, base.max() + 1, base).astype(np.float32)
        name, base = list(rules.items())[min(1, len(counted))]
        base = rules.get("popularity", base)
        rules["times in history, then popularity"] = (times + base / (1 + np.abs(base).max())).astype(np.float32)
    return rules


def _in_history(items: Any, history: Any, lengths: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each candidate: how many events ago it was last in the history (-1: never), and how often it is there."""
    wanted = history.to_tensor("").numpy()[:, ::-1]  # newest last, wherever the padding stands
    newest_first = [row[row != b""] for row in wanted]
    row = np.repeat(np.arange(len(lengths)), lengths)
    place, times = np.full(len(row), -1), np.zeros(len(row), np.int64)
    for at, item in enumerate(items.flat_values.numpy()):
        found = np.flatnonzero(newest_first[row[at]] == item)
        if len(found):
            place[at], times[at] = found[0], len(found)
    return place, times


def _true_relevance(window: TestWindow, truth: Path) -> Scores:
    columns = ["request_id", "item_id", "relevance"]
    relevance = pl.concat([pl.read_parquet(path, columns=columns) for path in sorted(truth.glob("relevance-*.parquet"))])
    found = window.ids.join(relevance, on=columns[:2], how="left", maintain_order="left")
    return found["relevance"].to_numpy().astype(np.float32)


def main() -> None:
    """Print the table."""
    assert __doc__ is not None
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("dataset", metavar="DATASET.yaml")
    given.add_argument("--root", type=Path, required=True, help="folder of the run")
    given.add_argument("--truth", type=Path, help="folder of a simulated shop's truth")
    args = given.parse_args()
    newest = {
        name: max((path for path in args.root.glob(f"artifacts/{name}/*") if path.name.isdecimal()), key=lambda path: int(path.name))
        for name in ("EventExampleGen/examples", "Trainer/model")
    }
    dataset = load_dataset(args.dataset)
    window = test_window(dataset, newest["EventExampleGen/examples"], newest["Trainer/model"] / "Format-Serving")
    rivals = {"random": np.random.default_rng(0).random(len(window.labels)).astype(np.float32), **window.rules, "the model": window.model}
    if args.truth:
        rivals["true relevance"] = _true_relevance(window, args.truth)
    table = Table(title=f"{dataset.name}: test window, {len(window.lengths):,} requests, {len(window.labels):,} candidates")
    table.add_column("ranker")
    for name in SHOWN:
        table.add_column(name, justify="right")
    values = {name: sums(window.labels, scores, gains=window.gains, row_lengths=window.lengths).values() for name, scores in rivals.items()}
    for name, metrics in values.items():
        table.add_row(name, *(f"{metrics[shown]:.4f}" for shown in SHOWN))
    Console(width=110).print(table)
    if args.truth:
        share = (values["the model"]["auc"] - 0.5) / (values["true relevance"]["auc"] - 0.5)
        print(f"The model's AUC is {share:.1%} of the way from 0.5 to that of the true relevance.")


if __name__ == "__main__":
    main()
