"""Compare a run's model with baseline rules, and on a simulated shop with the truth, over the test window.

    python -m benchmarks.quality.baselines DATASET.yaml --root runs/NAME [--truth DIR]

The rules are those of benchmarks/quality/baseline_scores.py that the data has the columns for. With --truth (the
`truth` folder of a simulated shop) also the true relevance, and how far the model's AUC is from 0.5 to that of the
truth.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from benchmarks.quality.baseline_scores import rules
from benchmarks.quality.split_data import Scores, arguments, newest, read
from benchmarks.quality.truth import candidate_ids, of_candidates
from components.contract.load import load_dataset
from components.schema.parsing import Features

SHOWN = ("auc", "gauc", "precision_at_5", "ndcg_at_10", "mrr")


def main() -> None:
    """Print the table."""
    parser = arguments(__doc__)
    parser.add_argument("--truth", type=Path, help="folder of a simulated shop's truth")
    args = parser.parse_args()
    dataset = load_dataset(args.dataset)
    signature = tf.saved_model.load(str(newest(args.root, "Trainer/model") / "Format-Serving")).signatures["examples"]

    def by_rules(_records: tf.Tensor, features: Features) -> dict[str, Scores]:
        return rules(dataset, features)

    def by_model(records: tf.Tensor, features: Features) -> dict[str, Scores]:
        lengths = features["label"].row_lengths()
        return {"the model": tf.RaggedTensor.from_tensor(signature(examples=records)["scores"], lengths=lengths).flat_values.numpy()}

    judged, (ruled, model, named) = read(
        dataset, newest(args.root, "EventExampleGen/examples"), "test", [by_rules, by_model, candidate_ids]
    )
    rivals = {"random": np.random.default_rng(0).permutation(len(judged.labels)).astype(np.float32), **ruled, **model}
    if args.truth:
        rivals["true relevance"] = of_candidates(named, args.truth, "relevance").astype(np.float32)
    table = Table(title=f"{dataset.name}: test window, {len(judged.row_lengths):,} requests, {len(judged.labels):,} candidates")
    table.add_column("ranker")
    for name in SHOWN:
        table.add_column(name, justify="right")
    values = {name: judged.sums(scores).values() for name, scores in rivals.items()}
    for name, metrics in values.items():
        table.add_row(name, *(f"{metrics[shown]:.4f}" for shown in SHOWN))
    Console(width=110).print(table)
    if args.truth:
        share = (values["the model"]["auc"] - 0.5) / (values["true relevance"]["auc"] - 0.5)
        print(f"The model's AUC is {share:.1%} of the way from 0.5 to that of the true relevance.")


if __name__ == "__main__":
    main()
