"""Compare the ranker with baseline rules, tuned LightGBM, and ablations of itself, over the test window of a run.

    python -m benchmarks.quality DATASET.yaml --root runs/NAME [--rows ours "LightGBM binary"] [--seeds 1] [--trials 12] [--json FILE]

The run's examples and its Transform graph are used, so all rankers have the same requests and splits: they are trained
on `train`, stopped by `eval`, evaluated on `test`. LightGBM gets the inputs of trainer/distillation/inputs.py and a
random search of --trials settings (benchmarks/quality/trees.py); the best rule is the one with the best eval NDCG@10.
Rows of ours:

    ours                       the dataset file as it is
    ours, untaught             `distillation: 0`: labels alone, without trees as a teacher
    ours, one member           `members: 1`: no ensemble
    ours, no attention         `attention: none`: exact matches with the history stay
    ours, no history           the history left out of the feature table: neither attention nor matches
    ours, no cross layers      `cross_layers: 0`
    ours, no text              features of kind `text` left out of the feature table
    ours, pointwise            `listwise: 0`
    ours, mix                  `listwise: 0.5`
    ours, listwise             `listwise: 1`

A row with the data and settings of an earlier one isn't trained again. After +- is the half width of a 95 % interval:
Poisson bootstrap over shoppers, and with several seeds the spread between them. "ours - it" is paired: both use the
same shoppers in every replicate. Log loss is printed where scores are probabilities. Seconds are of the training alone;
those of a search are below the table.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.quality.baseline_scores import POPULARITY, SHOWN_ORDER, rules
from benchmarks.quality.split_data import CONFIDENCE_95, Judged, Scores, arguments, batches, files, newest, read
from benchmarks.quality.trees import Fitted, Forest, Objective, Split
from components.contract.columns import Column, input_columns
from components.contract.dataset import Dataset
from components.contract.load import load_dataset
from components.evaluation.metrics.bootstrap import standard_error
from components.evaluation.metrics.metric_accumulator import RankingSums
from components.schema.parsing import Features
from trainer.config import ranker_config
from trainer.distillation.inputs import coding, tree_inputs
from trainer.fit.training import train
from trainer.model.ranker import Ranker

SHOWN = {"auc": "AUC", "gauc": "GAUC", "precision_at_5": "P@5", "ndcg_at_10": "NDCG@10", "mrr": "MRR", "log_loss": "log loss"}
PAIRED = ("auc", "ndcg_at_10")
OURS = "ours"
BEST_RULE = "best rule"
TOLD_FEATURES = 15


@dataclass(frozen=True)
class Variant:
    """Variant of the ranker: changed settings, or kinds of features left out."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()

    def applied_to(self, dataset: Dataset) -> Dataset:
        """Return the dataset file with the changes."""
        features = tuple(feature for feature in dataset.features if feature.kind not in self.without)
        return dataset.model_copy(update={"features": features, "model": {**dataset.model, **self.settings}})


VARIANTS = {
    OURS: Variant(),
    "ours, untaught": Variant({"distillation": 0.0}),
    "ours, one member": Variant({"members": 1}),
    "ours, no attention": Variant({"attention": "none"}),
    "ours, no history": Variant(without=("history",)),
    "ours, no cross layers": Variant({"cross_layers": 0}),
    "ours, no text": Variant(without=("text",)),
    "ours, pointwise": Variant({"listwise": 0.0}),
    "ours, mix": Variant({"listwise": 0.5}),
    "ours, listwise": Variant({"listwise": 1.0}),
}
TREES: dict[str, Objective] = {"LightGBM binary": "binary", "LightGBM lambdarank": "lambdarank"}
ROWS = ("random", SHOWN_ORDER, POPULARITY, BEST_RULE, *TREES, *VARIANTS)


@dataclass(frozen=True)
class Row:
    """Scores of the test candidates by a ranker, one set a seed."""

    name: str
    sums: tuple[RankingSums, ...]
    seconds: float | None = None

    @cached_property
    def _replicated(self) -> dict[str, Any]:
        each = [sums.replicated() for sums in self.sums]
        return {name: np.mean([replicates[name] for replicates in each], axis=0) for name in each[0]}

    def value(self, metric: str) -> tuple[float, float]:
        """Return the mean over seeds and the half width of its interval."""
        values = np.array([sums.values()[metric] for sums in self.sums])
        return float(values.mean()), _half_width(self._replicated[metric], values)

    def minus(self, other: "Row", metric: str) -> tuple[float, float]:
        """Return the difference to the other, and the half width of its paired interval."""
        mine, its = (np.array([sums.values()[metric] for sums in row.sums]) for row in (self, other))
        between_seeds = [row - row.mean() for row in (mine, its)]
        return float(mine.mean() - its.mean()), _half_width(self._replicated[metric] - other._replicated[metric], *between_seeds)


def _half_width(replicates: Any, *by_seed: Any) -> float:
    of_seeds = sum(float(np.var(values, ddof=1)) / len(values) for values in by_seed if len(values) > 1)
    return CONFIDENCE_95 * float(np.sqrt(standard_error(replicates) ** 2 + of_seeds))


@dataclass(frozen=True)
class Without:
    """Transform graph for examples that lack some of its columns, which are passed to it empty."""

    graph: tft.TFTransformOutput
    columns: tuple[Column, ...]

    def transform_features_layer(self) -> Callable[[Features], Features]:
        """Return the graph's layer, with empty columns for the missing ones."""
        layer = self.graph.transform_features_layer()

        def transformed(features: Features) -> Features:
            some = next(iter(features.values()))
            requests = some.nrows() if isinstance(some, tf.RaggedTensor) else tf.shape(some, tf.int64)[0]
            complete: Features = layer({**features, **{column.name: _empty(column, requests) for column in self.columns}})
            return complete

        return transformed

    def vocabulary_size_by_name(self, name: str) -> int:
        """Return the size of the graph's vocabulary."""
        return int(self.graph.vocabulary_size_by_name(name))


def _empty(column: Column, requests: tf.Tensor) -> tf.Tensor | tf.RaggedTensor:
    nothing = {"string": tf.constant(""), "int64": tf.constant(-1, tf.int64), "float32": tf.constant(float("nan"))}[column.dtype]
    if column.axis != "request":
        return tf.RaggedTensor.from_row_splits(tf.zeros([0], nothing.dtype), tf.zeros([requests + 1], tf.int64), validate=False)
    return tf.fill(tf.stack([requests, *([column.size] if column.size > 1 else [])]), nothing)


@dataclass(frozen=True)
class Run:
    """Examples and Transform graph of a run."""

    dataset: Dataset
    examples: Path
    graph: tft.TFTransformOutput

    def ours(self, dataset: Dataset, seed: int) -> tuple[Scores, float]:
        """Train a ranker, and return its probabilities of the test candidates and the seconds of the training."""
        mine = input_columns(dataset)
        left_out = tuple(column for column in input_columns(self.dataset) if column not in mine)
        graph = Without(self.graph, left_out) if left_out else self.graph
        begin = time.monotonic()
        dataset = dataset.model_copy(update={"seed": seed})
        training, evaluation = (files(self.examples, split) for split in ("train", "eval"))
        model, _curve = train(training, evaluation, graph, dataset=dataset, config=ranker_config(dataset))
        seconds = time.monotonic() - begin
        return self._scored(model, graph, mine), seconds

    def _scored(self, model: Ranker, graph: Any, columns: tuple[Column, ...]) -> Scores:
        layer = graph.transform_features_layer()

        @tf.function(reduce_retracing=True)
        def probabilities(features: Features) -> tf.Tensor:
            return tf.sigmoid(model.logits(layer(features)))

        of_batches = (features for _, features in batches(self.dataset, self.examples, "test"))
        return np.concatenate(
            [probabilities({column.name: features[column.name] for column in columns}).numpy() for features in of_batches]
        )


@dataclass(frozen=True)
class Contest:
    """Comparison of all rankers on one data set."""

    run: Run
    judged: Judged  # test
    rules: dict[str, Scores]  # test
    best_rule: str | None
    forest: Forest
    test_inputs: Any  # [N, F]

    @classmethod
    def from_run(cls, run: Run) -> "Contest":
        """Read all three splits."""
        dataset = run.dataset

        def of_trees(_records: tf.Tensor, features: Features) -> dict[str, Any]:
            return tree_inputs(dataset, features)

        def of_rules(_records: tf.Tensor, features: Features) -> dict[str, Any]:
            return rules(dataset, features)

        training, (columns,) = read(dataset, run.examples, "train", [of_trees])
        coded = coding(dataset, columns)
        trained = Split(coded.matrix(columns), training)
        names = list(columns)
        (evaluation, (eval_columns, eval_rules)), (test, (test_columns, test_rules)) = (
            read(dataset, run.examples, split, [of_trees, of_rules]) for split in ("eval", "test")
        )
        best = max(eval_rules, key=lambda name: evaluation.sums(eval_rules[name]).values()["ndcg_at_10"], default=None)
        forest = Forest(trained, Split(coded.matrix(eval_columns), evaluation), names, list(coded.categories))
        return cls(run, test, test_rules, best, forest, coded.matrix(test_columns))

    def rows(self, names: tuple[str, ...], *, seeds: int, trials: int, fitted: dict[str, Fitted]) -> Iterator[Row]:
        """Yield the rows for which the data has the columns; the trees are appended to `fitted`."""
        trained: dict[str, Row] = {}
        first = self.run.dataset.seed
        for name in names:
            if name == "random":
                drawn = [np.random.default_rng(first + at).permutation(len(self.judged.labels)) for at in range(seeds)]
                yield self._row(name, [scores.astype(np.float32) for scores in drawn])
            elif name in self.rules:
                yield self._row(name, [self.rules[name]])
            elif name == BEST_RULE and self.best_rule is not None:
                yield self._row(f"best rule: {self.best_rule}", [self.rules[self.best_rule]])
            elif name in TREES:
                settings, search_seconds = self.forest.searched(TREES[name], trials=trials, seed=first)
                fits = [self.forest.fitted(TREES[name], settings, seed=first + at, search_seconds=search_seconds) for at in range(seeds)]
                fitted[name] = fits[0]
                seconds = float(np.mean([fit.seconds for fit in fits]))
                yield self._row(name, [fit.scores(self.test_inputs) for fit in fits], seconds)
            elif name in VARIANTS:
                dataset = VARIANTS[name].applied_to(self.run.dataset)
                if name != OURS and VARIANTS[name].without and dataset.features == self.run.dataset.features:
                    continue  # nothing to leave out
                key = f"{dataset.features!r} {ranker_config(dataset)!r}"
                if key not in trained:
                    scored = [self.run.ours(dataset, first + at) for at in range(seeds)]
                    trained[key] = self._row(name, [scores for scores, _ in scored], float(np.mean([seconds for _, seconds in scored])))
                yield Row(name, trained[key].sums, trained[key].seconds)

    def _row(self, name: str, scores: list[Scores], seconds: float | None = None) -> Row:
        return Row(name, tuple(self.judged.sums(each) for each in scores), seconds)


def _numbers(row: Row, ours: Row | None) -> dict[str, Any]:
    """Convert a row to JSON: [value, half width] by defined metric."""
    numbers: dict[str, Any] = {"name": row.name, "seconds": row.seconds}
    numbers |= {metric: value for metric in SHOWN if not np.isnan((value := row.value(metric))[0])}
    if ours is not None and row.name != OURS:
        numbers["ours_minus"] = {metric: ours.minus(row, metric) for metric in PAIRED}
    return numbers


def _shown(title: str, rows: list[dict[str, Any]]) -> Table:
    table = Table(title=title)
    table.add_column("ranker")
    for name in (*SHOWN.values(), *(f"ours - it, {SHOWN[metric]}" for metric in PAIRED), "seconds"):
        table.add_column(name, justify="right")
    for row in rows:
        cells = [f"{row[metric][0]:.4f} +-{row[metric][1]:.4f}" if metric in row else "" for metric in SHOWN]
        paired = row.get("ours_minus")
        cells += [f"{paired[metric][0]:+.4f} +-{paired[metric][1]:.4f}" if paired else "" for metric in PAIRED]
        table.add_row(Text(row["name"]), *cells, "" if row["seconds"] is None else f"{row['seconds']:.0f}")
    return table


def _gains(fitted: Mapping[str, Fitted]) -> Table:
    table = Table(title="What the trees split on: share of the gain")
    for name in fitted:
        table.add_column(name)
        table.add_column("gain", justify="right")
    firsts = [list(fit.gain().items())[:TOLD_FEATURES] for fit in fitted.values()]
    for shares in zip(*firsts, strict=True):
        table.add_row(*(text for feature, share in shares for text in (feature, f"{share:.1%}")))
    return table


def main() -> None:
    """Print the tables."""
    parser = arguments(__doc__)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS, metavar="ROW", help=f"any of: {', '.join(map(repr, ROWS))}")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each learnt ranker")
    parser.add_argument("--trials", type=int, default=12, help="settings that the search for LightGBM tries")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    args = parser.parse_args()
    dataset = load_dataset(args.dataset)
    tf.get_logger().setLevel("ERROR")  # each ranker traces its graphs anew, which TensorFlow warns of
    graph = tft.TFTransformOutput(str(newest(args.root, "Transform/transform_graph")))
    contest = Contest.from_run(Run(dataset, newest(args.root, "EventExampleGen/examples"), graph))
    rows, fitted = [], dict[str, Fitted]()
    for row in contest.rows(tuple(args.rows), seeds=args.seeds, trials=args.trials, fitted=fitted):
        print(f"{row.name}: AUC {row.value('auc')[0]:.4f}, NDCG@10 {row.value('ndcg_at_10')[0]:.4f}", file=sys.stderr, flush=True)
        rows.append(row)
    ours = next((row for row in rows if row.name == OURS), None)
    numbers = [_numbers(row, ours) for row in rows]
    judged = contest.judged
    seeds = f", mean of {args.seeds} seeds" if args.seeds > 1 else ""
    console = Console(width=200)
    console.print(
        _shown(f"{dataset.name}: test window, {len(judged.row_lengths):,} requests, {len(judged.labels):,} candidates{seeds}", numbers)
    )
    if fitted:
        console.print(_gains(fitted))
    for name, fit in fitted.items():
        print(f"{name}: {fit.booster.best_iteration} trees of {dict(fit.settings)}, found in {fit.search_seconds:.0f} s")
    if args.json:
        trees = {
            name: {"settings": dict(fit.settings), "search_seconds": fit.search_seconds, "gain": fit.gain()} for name, fit in fitted.items()
        }
        document = {
            "dataset": dataset.name,
            "requests": len(judged.row_lengths),
            "candidates": len(judged.labels),
            "rows": numbers,
            "trees": trees,
        }
        args.json.write_text(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
