"""Compare a warm start with a full retrain, on a shop with ever new products.

    shelfrank run DATASET.yaml --data SHOP --root runs/earlier --data-until DAY
    shelfrank run DATASET.yaml --data SHOP --root runs/full
    python -m benchmarks.training.warm_start DATASET.yaml --root runs/full --champion runs/earlier/releases/1 \\
        [--full MODEL] [--variant warm_replay=0] [--seeds 1] [--json FILE]

The champion is the release of an earlier day. The other models have the newer run's examples and Transform graph:

    the champion      as it was released then
    full retrain      random initial weights, all requests of the training window; with --full a model that the run made
    warm start        as the dataset file has it; another row for each --variant, with other settings of the model

Seconds are those of the Trainer's entry point, from reading to export, of the processor and by the clock; a model that
was made before has none. "New products" are the test candidates that no request of the champion's training had. After
+- is the half width of a paired 95 % interval (Poisson bootstrap over shoppers).

The steps of two whole runs, from the result that each leaves in its folder:

    python -m benchmarks.training.warm_start DATASET.yaml --root runs/full --warm runs/warm
"""

import argparse
import json
import logging
import math
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import tensorflow as tf
import yaml
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.quality.split_data import CONFIDENCE_95, Judged, Scores, arguments, files, newest, read
from components.contract.load import parse_dataset
from components.evaluation.metrics.bootstrap import standard_error
from components.evaluation.metrics.metric_accumulator import RankingSums
from components.schema.parsing import Features
from trainer.export.files import CURVE_FILE
from trainer.fit.auc import auc
from trainer.run import run_fn
from trainer.warm_start.champion_weights import read_champion

METRICS = {"auc": "AUC", "ndcg_at_10": "NDCG@10"}
CHAMPION, FULL, WARM = "the champion", "full retrain", "warm start"


@dataclass(frozen=True)
class Trained:
    """Model in a folder: epochs, steps, and seconds from reading to export, by the clock and of the processor."""

    folder: Path
    epochs: int
    steps: int
    clock_s: float = math.nan
    cpu_s: float = math.nan


def made(folder: Path) -> Trained:
    """Describe a model that was trained before."""
    curve = json.loads((folder / CURVE_FILE).read_text(encoding="utf-8"))
    return Trained(folder, len(curve), curve[-1]["step"])


def with_settings(text: str, *, seed: int, **model: Any) -> str:
    """Return the dataset file with this seed and these settings of the model."""
    document = {**yaml.safe_load(text), "seed": seed}
    document["model"] = {**document.get("model", {}), **model}
    return str(yaml.safe_dump(document, sort_keys=False))


def trained(text: str, run: Path, folder: Path, *, champion: Path | None = None) -> Trained:
    """Train by the Trainer's entry point, on a run's examples; with a champion from its weights."""
    examples = newest(run, "EventExampleGen/examples")
    begin = time.perf_counter(), time.process_time()
    run_fn(
        SimpleNamespace(
            train_files=files(examples, "train"),
            eval_files=files(examples, "eval"),
            transform_output=str(newest(run, "Transform/transform_graph")),
            serving_model_dir=str(folder),
            base_model=str(champion) if champion else None,
            custom_config={"dataset": text, "champion": CHAMPION, "training_start": "warm" if champion else "full"},
        )
    )
    seconds = time.perf_counter() - begin[0], time.process_time() - begin[1]
    return replace(made(folder), clock_s=seconds[0], cpu_s=seconds[1])


def known_items(examples: Path, until_us: int) -> NDArray[np.str_]:
    """List the items of the training requests up to a moment."""
    columns = {"time": tf.io.FixedLenFeature([], tf.int64), "item": tf.io.VarLenFeature(tf.string)}
    known: set[bytes] = set()
    for records in tf.data.TFRecordDataset(files(examples, "train")).batch(512):
        parsed = tf.io.parse_example(records, columns)
        known.update(parsed["item"].values.numpy()[parsed["time"].numpy()[parsed["item"].indices.numpy()[:, 0]] <= until_us])
    return np.array(sorted(known)).astype(str)


@dataclass(frozen=True)
class Row:
    """Row of a model, one set of sums a seed."""

    name: str
    trained: list[Trained]
    sums: list[RankingSums]
    new_products: list[float]  # AUC over all candidates that aren't in the champion's requests

    def value(self, metric: str) -> float:
        """Return the mean over the seeds."""
        return float(np.mean([sums.values()[metric] for sums in self.sums]))

    def minus(self, other: "Row", metric: str) -> tuple[float, float]:
        """Return the difference to the other, and the half width of its paired interval, over shoppers and seeds."""
        apart = np.mean([a.replicated()[metric] - b.replicated()[metric] for a, b in zip(self.sums, other.sums, strict=True)], axis=0)
        of_seeds = [a.values()[metric] - b.values()[metric] for a, b in zip(self.sums, other.sums, strict=True)]
        between = float(np.var(of_seeds, ddof=1)) / len(of_seeds) if len(of_seeds) > 1 else 0.0
        return float(np.mean(of_seeds)), CONFIDENCE_95 * float(np.sqrt(standard_error(apart) ** 2 + between))

    def mean(self, field: str) -> float:
        """Return the mean of a field over the models of all seeds."""
        return float(np.mean([getattr(each, field) for each in self.trained]))


def judged_by(
    text: str, examples: Path, models: dict[str, Path], known: NDArray[np.str_]
) -> tuple[Judged, dict[str, Scores], NDArray[Any]]:
    """Read the test window, the scores of each model, and which candidates are new products."""
    signatures = {name: tf.saved_model.load(str(folder)).signatures["examples"] for name, folder in models.items()}

    def scores(records: tf.Tensor, features: Features) -> dict[str, Scores]:
        lengths = features["label"].row_lengths()
        dense = {name: signature(examples=records)["scores"] for name, signature in signatures.items()}
        return {name: tf.RaggedTensor.from_tensor(each, lengths=lengths).flat_values.numpy() for name, each in dense.items()}

    def new(_records: tf.Tensor, features: Features) -> dict[str, NDArray[np.bool_]]:
        return {"new": ~np.isin(features["item"].flat_values.numpy().astype(str), known)}

    judged, (scored, columns) = read(parse_dataset(text), examples, "test", [scores, new])
    return judged, scored, columns["new"]


def compare(args: argparse.Namespace, work: Path) -> dict[str, Row]:
    """Compute all rows of the table."""
    examples, text = newest(args.root, "EventExampleGen/examples"), Path(args.dataset).read_text(encoding="utf-8")
    champion = read_champion(str(args.champion))
    assert champion is not None, "a trained release"
    known = known_items(examples, champion.trained_until_us)
    rows: dict[str, Row] = {}
    for seed in range(1, args.seeds + 1):
        plain, folder = with_settings(text, seed=seed), work / f"seed_{seed}"
        models = {CHAMPION: made(args.champion), FULL: made(args.full) if args.full else trained(plain, args.root, folder / "full")}
        variants = {WARM: {}, **{each: yaml.safe_load(f"{{{each.replace('=', ': ')}}}") for each in args.variant}}
        for at, (name, settings) in enumerate(variants.items()):
            models[name] = trained(with_settings(text, seed=seed, **settings), args.root, folder / str(at), champion=args.champion)
        judged, scored, new = judged_by(plain, examples, {name: model.folder for name, model in models.items()}, known)
        print(f"seed {seed}: {new.mean():.1%} of the test candidates are new products, {judged.labels[new].sum():.0f} positives among them")
        for name, model in models.items():
            row = rows.setdefault(name, Row(name, [], [], []))
            row.trained.append(model)
            row.sums.append(judged.sums(scored[name]))
            row.new_products.append(auc(judged.labels[new], scored[name][new]))
    return rows


def table(rows: dict[str, Row]) -> Table:
    """Render the table."""
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


def steps_table(full: Path, warm: Path) -> Table:
    """Render the seconds of each step of two finished runs."""
    seconds = [
        {step["name"]: step["seconds"] for step in json.loads((run / "last_run.json").read_text(encoding="utf-8"))["steps"]}
        for run in (full, warm)
    ]
    rendered = Table("step", "full, s", "warm, s", "of full", title="steps by the clock")
    for name in (*seconds[0], None):
        values = [each[name] if name else sum(each.values()) for each in seconds]
        rendered.add_row(name or "all", *(f"{value:.1f}" for value in values), f"{values[1] / max(values[0], 1e-9):.2f}")
    return rendered


def main() -> None:
    """Print the table."""
    parser = arguments(__doc__)
    parser.add_argument("--champion", type=Path, help="release of the earlier run")
    parser.add_argument("--full", type=Path, help="a full retrain that was made before: its SavedModel")
    parser.add_argument("--variant", action="append", default=[], help="settings of the model of one more row: NAME=VALUE, NAME=VALUE")
    parser.add_argument("--warm", type=Path, help="folder of a warm run, whose steps are compared with those of --root")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures here")
    args = parser.parse_args()
    if args.warm:
        Console(width=170).print(steps_table(args.root, args.warm))
    if not args.champion:
        return
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
