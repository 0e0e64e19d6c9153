"""Measure the effect of position bias on a simulated shop's ranker, and of `model: {position_bias: ...}`, by the truth.

    python -m benchmarks.quality.debias DATASET.yaml --root runs/NAME --truth DIR [--seeds 1] [--json FILE]

The run's examples and its Transform graph are used. One ranker a setting is trained on `train`, stopped by `eval`,
evaluated on `test`:

    none                   clicks are treated as relevance
    examination, ips       as in trainer/model/position_bias.py

Metrics against the truth: AUC on whether a candidate would be clicked if examined (drawn once, by its true relevance;
the same for all), NDCG@10 with the relevance as gain, and within each request Spearman's correlation with it. Also AUC
and NDCG@10 on the clicks as logged, as a real shop measures them: there the position affects both scores and labels.
And e, the examination by position: its greatest and mean error over the positions with `LEAST` training impressions.

After +- is the half width of a 95 % interval, a Poisson bootstrap over shoppers (with several seeds also the spread
between them); in "over none" it is paired: both use the same shoppers in every replicate.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import tensorflow as tf
import tensorflow_transform as tft
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.quality.split_data import CONFIDENCE_95, Judged, Scores, arguments, batches, files, newest, read
from benchmarks.quality.truth import candidate_ids, of_candidates
from components.contract.dataset import Dataset
from components.contract.load import load_dataset
from components.evaluation.metrics.bootstrap import poisson_counts, standard_error
from components.schema.parsing import Features
from trainer.config import ranker_config
from trainer.fit.training import train
from trainer.model.position_bias import Naive, curve

SETTINGS = ("none", "examination", "ips")
LEAST = 1_000

Floats = NDArray[np.float64]


def spearman(values: Floats, others: Floats, row_lengths: NDArray[np.int64]) -> Floats:
    """Compute the rank correlation within each request [R], ties at their mean rank; NaN if either side is constant."""
    row = np.repeat(np.arange(len(row_lengths)), row_lengths)
    frame = pl.DataFrame({"row": row, "value": values, "other": others})
    ranked = frame.select("row", pl.col("value", "other").rank().over("row"))
    return ranked.group_by("row", maintain_order=True).agg(r=pl.corr("value", "other"))["r"].to_numpy().astype(np.float64)


@dataclass(frozen=True)
class Truth:
    """Test requests as logged, and as they would be if every position were examined."""

    logged: Judged
    looked_at: Judged
    relevance: Floats  # [N]

    @classmethod
    def from_relevance(cls, logged: Judged, relevance: Floats) -> "Truth":
        """Draw the labels by the true relevance [N], the probability of a click given examination."""
        would = (np.random.default_rng(0).random(len(relevance)) < relevance).astype(np.float32)
        return cls(logged, Judged(would, relevance.astype(np.float32), logged.row_lengths, logged.users), relevance)

    def replicates(self, scores: Scores) -> dict[str, Floats]:
        """Compute each metric and its bootstrap replicates: [1 + B]."""
        would, logged = self.looked_at.sums(scores), self.logged.sums(scores)
        within = spearman(scores.astype(np.float64), self.relevance, self.logged.row_lengths)
        defined = np.isfinite(within)
        counts = np.column_stack([np.ones(len(within), np.uint8), poisson_counts(self.logged.users)])[defined].astype(np.float64)
        metrics = {"spearman": within[defined] @ counts / counts.sum(axis=0)}
        for prefix, sums in (("true", would), ("logged", logged)):
            values, replicated = sums.values(), sums.replicated()
            metrics |= {f"{prefix}_{name}": np.r_[values[name], replicated[name]] for name in ("auc", "ndcg_at_10")}
        return metrics


METRICS = {
    "true_auc": "AUC, truth",
    "true_ndcg_at_10": "NDCG@10, truth",
    "spearman": "Spearman, truth",
    "logged_auc": "AUC, clicks",
    "logged_ndcg_at_10": "NDCG@10, clicks",
}


@dataclass(frozen=True)
class Row:
    """Metrics of a setting with their replicates, one set a seed, and the errors of its e, if it has one."""

    name: str
    by_seed: tuple[dict[str, Floats], ...]
    errors: tuple[float, float] | None

    @cached_property
    def _mean(self) -> dict[str, Floats]:
        return {name: np.mean([metrics[name] for metrics in self.by_seed], axis=0) for name in self.by_seed[0]}

    def value(self, metric: str) -> tuple[float, float]:
        """Return the mean over seeds and the half width of its interval."""
        return float(self._mean[metric][0]), self._half_width(metric, self._mean[metric][1:])

    def over(self, other: "Row", metric: str) -> tuple[float, float]:
        """Return the difference to the other, and the half width of its paired interval."""
        change = self._mean[metric] - other._mean[metric]
        return float(change[0]), float(np.hypot(self._half_width(metric, change[1:]), other._between_seeds(metric)))

    def _half_width(self, metric: str, replicates: Floats) -> float:
        return float(np.hypot(CONFIDENCE_95 * standard_error(replicates), self._between_seeds(metric)))

    def _between_seeds(self, metric: str) -> float:
        values = [metrics[metric][0] for metrics in self.by_seed]
        return CONFIDENCE_95 * float(np.std(values, ddof=1)) / len(values) ** 0.5 if len(values) > 1 else 0.0


@dataclass(frozen=True)
class Run:
    """Examples and Transform graph of a run."""

    dataset: Dataset
    examples: Path
    graph: tft.TFTransformOutput

    def trained(self, setting: str, seed: int) -> tuple[Scores, Floats | None]:
        """Train, and return the scores of the test candidates and e of each position."""
        dataset = self.dataset.model_copy(
            update={"seed": seed, "model": {**self.dataset.model, "distillation": 0.0, "position_bias": setting}}
        )
        training, evaluation = (files(self.examples, split) for split in ("train", "eval"))
        model, rows = train(training, evaluation, self.graph, dataset=dataset, config=ranker_config(dataset))
        print(setting, *(f"{row['loss']:.4f} {row['eval_auc']:.4f};" for row in rows), file=sys.stderr, flush=True)
        layer = self.graph.transform_features_layer()

        @tf.function(reduce_retracing=True)
        def scores(features: Features) -> tf.Tensor:
            return model.logits(layer(features))

        of_batches = [scores(features).numpy() for _, features in batches(dataset, self.examples, "test")]
        bias = model.bias
        return np.concatenate(of_batches), None if isinstance(bias, Naive) else curve(bias).astype(np.float64)


def main() -> None:
    """Print the table."""
    parser = arguments(__doc__)
    parser.add_argument("--truth", type=Path, required=True, help="folder of the simulated shop's truth")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each setting")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    args = parser.parse_args()
    dataset = load_dataset(args.dataset)
    tf.get_logger().setLevel("ERROR")  # each ranker traces its graphs anew, which TensorFlow warns of
    graph = tft.TFTransformOutput(str(newest(args.root, "Transform/transform_graph")))
    run = Run(dataset, newest(args.root, "EventExampleGen/examples"), graph)

    def places(_records: tf.Tensor, features: Features) -> dict[str, NDArray[Any]]:
        return {"place": features["position"].flat_values.numpy()}

    logged, (named, placed) = read(dataset, run.examples, "test", [candidate_ids, places])
    _, (learnt_from,) = read(dataset, run.examples, "train", [places])
    truth = Truth.from_relevance(logged, of_candidates(named, args.truth, "relevance").astype(np.float64))
    counted = np.flatnonzero(np.bincount(learnt_from["place"]) >= LEAST)
    e = np.array(json.loads((args.truth / "truth.json").read_text())["examination"])[counted]
    rows = [
        Row("shown order", (truth.replicates(-placed["place"].astype(np.float32)),), None),
        Row("true relevance", (truth.replicates(truth.relevance.astype(np.float32)),), None),
    ]
    for setting in SETTINGS:
        runs = [run.trained(setting, dataset.seed + at) for at in range(args.seeds)]
        errors = [np.abs(fitted[counted] - e) for _, fitted in runs if fitted is not None]
        errors_of_e = (float(np.max(errors)), float(np.mean(errors))) if errors else None
        rows.append(Row(setting, tuple(truth.replicates(scores) for scores, _ in runs), errors_of_e))
        print(setting, {metric: round(rows[-1].value(metric)[0], 4) for metric in METRICS}, errors_of_e, file=sys.stderr, flush=True)
    naive = next(row for row in rows if row.name == "none")
    numbers = [_numbers(row, naive) for row in rows]
    title = f"{dataset.name}: test window, {len(logged.row_lengths):,} requests; e over the first {len(counted)} places"
    Console(width=170).print(_shown(title, numbers))
    if args.json:
        args.json.write_text(json.dumps(numbers, indent=1))


def _numbers(row: Row, naive: Row) -> dict[str, Any]:
    """Convert a row to JSON: [value, half width] by metric, also against `naive`; [max, mean] error of e."""
    numbers: dict[str, Any] = {"name": row.name, "e": row.errors, "values": {metric: row.value(metric) for metric in METRICS}}
    if row.name in SETTINGS and row is not naive:
        numbers["over_none"] = {metric: row.over(naive, metric) for metric in METRICS}
    return numbers


def _shown(title: str, rows: list[Mapping[str, Any]] | list[dict[str, Any]]) -> Table:
    table = Table(title=title)
    for name in ("position_bias", "e: max, mean error", *METRICS.values()):
        table.add_column(name, justify="left" if name == "position_bias" else "right")
    for row in rows:
        errors = "" if row["e"] is None else "{:.3f}, {:.3f}".format(*row["e"])
        table.add_row(row["name"], errors, *("{:.4f} +-{:.4f}".format(*row["values"][metric]) for metric in METRICS))
        if "over_none" in row:
            table.add_row("  over none", "", *("{:+.4f} +-{:.4f}".format(*row["over_none"][metric]) for metric in METRICS))
    return table


if __name__ == "__main__":
    main()
