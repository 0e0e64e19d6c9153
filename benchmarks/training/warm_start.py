"""A warm start on the newest requests against training anew on all of them, on a shop where new products keep coming.

    python -m benchmarks.training.warm_start DATASET.yaml --root runs/NAME [--age 10%] [--seeds 1] [--brief] [--json FILE]

From the examples of a run it makes a champion of an earlier day: --age before the end of the training window its own training ended. The
last twentieth of what it may see chooses its epoch, and its Transform graph is of its own requests. What follows has the run's Transform
graph, its eval and test windows, and begins where that day ends:

    the champion      as it was released then
    full retrain      drawn weights, all requests of the training window
    warm, newest      the champion's weights, only the requests since its training ended
    cold, newest      drawn weights, the same requests: what the warm start is worth
    warm, all         the champion's weights, all requests

Ids that the dataset file hashes get a vocabulary instead, which grows with the products. The state of shoppers and products is that of the
whole log in all rows. Steps are what a longer log makes more of; seconds are from reading to export, of the processor and by the clock,
with some tens of them that no log makes more of (tracing, export). "New products" are the test candidates that the champion's requests
never showed. Behind +- stands the half width of a paired 95 % interval (Poisson bootstrap over shoppers).
"""

import argparse
import json
import logging
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
import yaml
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from tfx_bsl.public import tfxio

from benchmarks.quality.split_data import CONFIDENCE_95, Judged, Scores, arguments, files, newest, read
from components.contract.load import parse_dataset
from components.evaluation.metrics.bootstrap import standard_error
from components.evaluation.metrics.metric_accumulator import RankingSums
from components.schema.parsing import Features
from components.schema.schema import schema
from trainer.fit.auc import auc
from trainer.preprocess import preprocessing_fn
from trainer.run import run_fn
from trainer.warm_start.champion_weights import read_champion

METRICS = {"auc": "AUC", "ndcg_at_10": "NDCG@10"}
FULL = "full retrain"
CHOOSES = 0.05  # of the champion's requests, the last


@dataclass(frozen=True)
class Trained:
    """A model: its folder, its epochs and steps, and the seconds it took from reading to export, by the clock and of the processor."""

    folder: Path
    epochs: int
    steps: int
    clock_s: float
    cpu_s: float


def with_vocabularies(text: str, *, seed: int, **model: Any) -> str:
    """The dataset file with a vocabulary for each id, this seed and these settings of the model."""
    document = {**yaml.safe_load(text), "seed": seed}
    for feature in document["features"]:
        if feature["kind"] == "id" and "vocabulary" not in feature:
            feature["vocabulary"] = feature.pop("buckets", 20_000)
    document["model"] = {**document.get("model", {}), **model}
    return str(yaml.safe_dump(document, sort_keys=False))


def divided(paths: list[str], folder: Path, *, age: float) -> tuple[NDArray[np.str_], float]:
    """Write the champion's requests to `train/` and `eval/` of the folder; the items it was shown, and its share of all requests."""
    records = [record for name in paths for record in tf.data.TFRecordDataset(name).as_numpy_iterator()]
    columns = {"time": tf.io.FixedLenFeature([], tf.int64), "item": tf.io.VarLenFeature(tf.string)}
    parsed = tf.io.parse_example(records, columns)
    times = parsed["time"].numpy()
    day = times.min() + (times.max() - times.min()) * (1 - age)
    chooses = np.quantile(times[times < day], 1 - CHOOSES)
    for split, here in (("train", times < chooses), ("eval", (times >= chooses) & (times < day))):
        (folder / split).mkdir(parents=True)
        with tf.io.TFRecordWriter(str(folder / split / "part-0")) as writer:
            for at in np.flatnonzero(here):
                writer.write(records[at])
    known = times[parsed["item"].indices.numpy()[:, 0]] < chooses
    return np.unique(parsed["item"].values.numpy()[known].astype(str)), float((times < chooses).mean())


def transformed(text: str, pattern: str, folder: Path) -> Path:
    """A Transform graph of the requests, as TFX's component makes it."""
    source = tfxio.TFExampleRecord(pattern, schema=schema(parse_dataset(text)), telemetry_descriptors=["benchmark"])
    with tft_beam.Context(temp_dir=str(folder / "tmp")), beam.Pipeline(runner="FnApiRunner") as pipeline:
        raw = (pipeline | source.BeamSource(), source.TensorAdapterConfig())
        fitted = raw | tft_beam.AnalyzeDataset(lambda inputs: preprocessing_fn(inputs, {"dataset": text}))
        _ = fitted | tft_beam.WriteTransformFn(str(folder / "graph"))
    return folder / "graph"


def trained(text: str, train: list[str], evaluate: list[str], graph: Path, folder: Path, *, base: Path | None = None) -> Trained:
    """Through the Trainer's entry point, from the champion in `base`."""
    begin = time.perf_counter(), time.process_time()
    run_fn(
        SimpleNamespace(
            train_files=train,
            eval_files=evaluate,
            transform_output=str(graph),
            serving_model_dir=str(folder),
            base_model=str(base) if base else None,
            custom_config={"dataset": text, "champion": "the champion"},
        )
    )
    curve = json.loads((folder / "assets.extra" / "history.json").read_text(encoding="utf-8"))
    return Trained(folder, len(curve), curve[-1]["step"], time.perf_counter() - begin[0], time.process_time() - begin[1])


@dataclass(frozen=True)
class Row:
    """What is told of a model, one set of sums a seed."""

    name: str
    trained: list[Trained]
    sums: list[RankingSums]
    new_products: list[float]  # AUC over all candidates that the champion's requests never showed

    def value(self, metric: str) -> float:
        """Mean over the seeds."""
        return float(np.mean([sums.values()[metric] for sums in self.sums]))

    def minus(self, other: "Row", metric: str) -> tuple[float, float]:
        """How far above the other, and the half width of the paired interval: over shoppers, and over seeds where there are several."""
        apart = np.mean([a.replicated()[metric] - b.replicated()[metric] for a, b in zip(self.sums, other.sums, strict=True)], axis=0)
        of_seeds = [a.values()[metric] - b.values()[metric] for a, b in zip(self.sums, other.sums, strict=True)]
        between = float(np.var(of_seeds, ddof=1)) / len(of_seeds) if len(of_seeds) > 1 else 0.0
        return float(np.mean(of_seeds)), CONFIDENCE_95 * float(np.sqrt(standard_error(apart) ** 2 + between))

    def mean(self, field: str) -> float:
        """Of the models of all seeds."""
        return float(np.mean([getattr(each, field) for each in self.trained]))


def judged_by(
    text: str, examples: Path, models: dict[str, Path], known: NDArray[np.str_]
) -> tuple[Judged, dict[str, Scores], NDArray[Any]]:
    """The test window, the scores of each model, and which candidates are new products."""
    doors = {name: tf.saved_model.load(str(folder)).signatures["examples"] for name, folder in models.items()}

    def scores(records: tf.Tensor, features: Features) -> dict[str, Scores]:
        lengths = features["label"].row_lengths()
        dense = {name: door(examples=records)["scores"] for name, door in doors.items()}
        return {name: tf.RaggedTensor.from_tensor(each, lengths=lengths).flat_values.numpy() for name, each in dense.items()}

    def new(_records: tf.Tensor, features: Features) -> dict[str, NDArray[np.bool_]]:
        return {"new": ~np.isin(features["item"].flat_values.numpy().astype(str), known)}

    judged, (scored, columns) = read(parse_dataset(text), examples, "test", [scores, new])
    return judged, scored, columns["new"]


def compare(args: argparse.Namespace, work: Path) -> dict[str, Row]:
    """All rows of the table."""
    examples, text = newest(args.root, "EventExampleGen/examples"), Path(args.dataset).read_text(encoding="utf-8")
    train, evaluate = files(examples, "train"), files(examples, "eval")
    file = with_vocabularies(text, seed=0)
    known, share = divided(train, work / "past", age=args.age)
    past = [[str(work / "past" / split / "*")] for split in ("train", "eval")]
    then, now = transformed(file, past[0][0], work / "then"), transformed(file, str(examples / "Split-train" / "*"), work / "now")
    for name in ("vocabulary_item", "categories"):
        sizes = [tft.TFTransformOutput(str(graph)).vocabulary_size_by_name(name) for graph in (then, now)]
        print(f"{name}: {sizes[0]:,} entries then, {sizes[1]:,} now")
    print(f"the champion learnt from {share:.0%} of the requests")
    rows: dict[str, Row] = {}
    for seed in range(1, args.seeds + 1):
        at = work / f"seed_{seed}"
        plain = with_vocabularies(text, seed=seed)
        warm_all = with_vocabularies(text, seed=seed, warm_start=True)
        warm_newest = with_vocabularies(text, seed=seed, warm_start=True, warm_window="1s")  # and all since the champion's own training
        champion = trained(plain, past[0], past[1], then, at / "champion")
        models = {
            "the champion": champion,
            FULL: trained(plain, train, evaluate, now, at / "full"),
            "warm, newest": trained(warm_newest, train, evaluate, now, at / "warm_newest", base=champion.folder),
        }
        if not args.brief:
            newest_only = since(train, champion.folder, at / "newest")
            models["cold, newest"] = trained(plain, newest_only, evaluate, now, at / "cold_newest")
            models["warm, all"] = trained(warm_all, train, evaluate, now, at / "warm_all", base=champion.folder)
        judged, scored, new = judged_by(plain, examples, {name: model.folder for name, model in models.items()}, known)
        print(f"seed {seed}: {new.mean():.1%} of the test candidates are new products, {judged.labels[new].sum():.0f} positives among them")
        for name, model in models.items():
            row = rows.setdefault(name, Row(name, [], [], []))
            row.trained.append(model)
            row.sums.append(judged.sums(scored[name]))
            row.new_products.append(auc(judged.labels[new], scored[name][new]))
    return rows


def since(paths: list[str], champion: Path, folder: Path) -> list[str]:
    """The requests after the last that the champion was trained on, as a file of their own."""
    left = read_champion(str(champion))
    assert left is not None
    folder.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(folder / "part-0")) as writer:
        for name in paths:
            for record in tf.data.TFRecordDataset(name).as_numpy_iterator():
                if tf.train.Example.FromString(record).features.feature["time"].int64_list.value[0] > left.trained_until_us:
                    writer.write(record)
    return [str(folder / "*")]


def table(rows: dict[str, Row]) -> Table:
    """As it is shown."""
    made = Table(title="test window")
    made.add_column("model")
    for name in METRICS.values():
        made.add_column(name, justify="right")
        made.add_column("- full retrain", justify="right")
    for name in ("new products' AUC", "epochs", "steps", "of full", "CPU s", "of full", "clock s"):
        made.add_column(name, justify="right")
    full = rows[FULL]
    for row in rows.values():
        cells = []
        for metric in METRICS:
            apart, half = row.minus(full, metric)
            cells += [f"{row.value(metric):.4f}", "" if row is full else f"{apart:+.4f} +- {half:.4f}"]
        cells += [f"{np.mean(row.new_products):.4f}", f"{row.mean('epochs'):.1f}"]
        for cost in ("steps", "cpu_s"):
            cells += [f"{row.mean(cost):,.0f}", f"{row.mean(cost) / full.mean(cost):.2f}"]
        cells.append(f"{row.mean('clock_s'):.0f}")
        made.add_row(row.name, *cells)
    return made


def main() -> None:
    """Print the table."""
    parser = arguments(__doc__)
    parser.add_argument(
        "--age", type=lambda text: float(text.removesuffix("%")) / 100, default=0.1, help="of the champion, of all the time"
    )
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--brief", action="store_true", help="without the last two rows")
    parser.add_argument("--json", type=Path, help="write the figures here")
    args = parser.parse_args()
    progress = logging.getLogger("shelfrank.progress")
    progress.addHandler(logging.StreamHandler())
    progress.setLevel(logging.INFO)
    with tempfile.TemporaryDirectory(prefix="warm_start_") as work:
        rows = compare(args, Path(work))
    Console(width=170).print(table(rows))
    if args.json:
        document = {
            row.name: {metric: [row.value(metric), *row.minus(rows[FULL], metric)] for metric in METRICS}
            | {"new_products_auc": row.new_products, **{cost: row.mean(cost) for cost in ("epochs", "steps", "cpu_s", "clock_s")}}
            for row in rows.values()
        }
        args.json.write_text(json.dumps(document, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
