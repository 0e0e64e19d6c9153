"""Measure the calibration of scores over the test window of a run, by the map that is fitted to the eval split.

    python -m benchmarks.quality.calibration DATASET.yaml --root runs/NAME [--truth DIR] [--json FILE]

One ranker is trained for each loss, and each map of trainer/model/calibration.py fitted to it:

    as it is               the dataset file as it is
    positives by 5         `positive_weight: 5`: for shops with few clicks
    half listwise          `listwise: 0.5`: the listwise half depends on differences of logits alone

Metrics on `test`: log loss, ECE, the sum of scores over the number of positives. With --truth (the `truth` folder of a
simulated shop) also the mean absolute difference of score and true click probability at the position shown. No map
changes AUC, so it is printed once a loss.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.special import expit

from benchmarks.quality.split_data import arguments, batches, files, newest, read
from benchmarks.quality.truth import candidate_ids, of_candidates
from components.contract.load import load_dataset
from trainer.config import ranker_config
from trainer.fit.training import train
from trainer.model.calibration import Form
from trainer.model.ranker import Ranker

LOSSES: Mapping[str, Mapping[str, Any]] = {
    "as it is": {},
    "positives by 5": {"positive_weight": 5.0},
    "half listwise": {"listwise": 0.5},
}
METRICS = {"log_loss": "log loss", "ece": "ECE", "calibration": "scores / positives"}

Floats = NDArray[np.float64]


def main() -> None:
    """Print the table."""
    parser = arguments(__doc__)
    parser.add_argument("--truth", type=Path, help="folder of a simulated shop's truth")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    args = parser.parse_args()
    dataset = load_dataset(args.dataset)
    examples = newest(args.root, "EventExampleGen/examples")
    graph = tft.TFTransformOutput(str(newest(args.root, "Transform/transform_graph")))

    judged, (named,) = read(dataset, examples, "test", [candidate_ids])
    chances = of_candidates(named, args.truth, "click_probability") if args.truth else None
    evaluation, _ = read(dataset, examples, "eval", [])

    def logits(model: Ranker, split: str) -> Floats:
        layer = graph.transform_features_layer()
        logits_of = tf.function(lambda features: model.logits(layer(features)), reduce_retracing=True)
        return np.concatenate([logits_of(features).numpy() for _, features in batches(dataset, examples, split)]).astype(np.float64)

    rows: list[dict[str, Any]] = []
    for loss, settings in LOSSES.items():
        changed = dataset.model_copy(update={"model": {**dataset.model, **settings, "calibration": "none"}})
        model, _ = train(files(examples, "train"), files(examples, "eval"), graph, dataset=changed, config=ranker_config(changed))
        of_eval, of_test = logits(model, "eval"), logits(model, "test")
        for form in get_args(Form):
            model.calibration.fit(of_eval[:, None], evaluation.labels[:, None].astype(np.float64), form)
            scores = expit(model.calibration(tf.constant(of_test[:, None], tf.float32)).numpy()[:, 0].astype(np.float64))
            values = judged.sums(scores.astype(np.float32)).values()
            rows.append({"loss": loss, "map": form, **{name: values[name] for name in ("auc", *METRICS)}})
            if chances is not None:
                rows[-1]["distance"] = float(np.abs(scores - chances).mean())
            print(loss, form, file=sys.stderr, flush=True)
    table = Table(title=f"{dataset.name}: test window, {len(judged.labels):,} candidates, {judged.labels.mean():.2%} positive")
    for name in ("loss", "map", "AUC", *METRICS.values(), *(["from the true chance"] if chances is not None else [])):
        table.add_column(name, justify="left" if name in ("loss", "map") else "right")
    for row in rows:
        first = row["map"] == "none"
        cells = [f"{row[name]:.4f}" for name in (*METRICS, *(["distance"] if chances is not None else []))]
        table.add_row(row["loss"] if first else "", row["map"], f"{row['auc']:.4f}" if first else "", *cells)
    Console(width=120).print(table)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
