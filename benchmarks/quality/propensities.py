"""How well the chance that a place is looked at is found from a simulated shop's clicks, by several ways, beside the truth.

    python -m benchmarks.quality.propensities DATASET.yaml --root runs/NAME --truth DIR [--steps 150 300 600 1200] [--rounds 10]

All learn from the run's train split, and none sees the truth:

    examination, n steps     what `position_bias: ips` does: the examination of a ranker trained so long (`trainer.fit.propensities`)
    regression EM            Wang et al. 2018, "Position bias estimation for unbiased learning to rank in personal search", section 4: in
                             turns, who was looked at and who attracts given the click; the places' means; and LightGBM for who attracts
    harvesting by item       Agarwal et al. 2019, "Estimating position bias without intrusive interventions": the same item at different
                             places, all pairs of places together, here by least squares on the logs of the rates' ratios
    harvesting by item and query    the same item for the same query, which is what the paper means; requests without a query are left out
    click rate by place      over that of the first: what one gets who takes the shop's order for a lottery

HashBuckets count that have `LEAST` impressions to learn from. Seconds are of the estimate alone, on top of reading.
"""

import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import polars as pl
import tensorflow as tf
import tensorflow_transform as tft
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.quality.split_data import arguments, files, newest, read
from components.contract.load import load_dataset
from components.schema.parsing import Features
from trainer.config import ranker_config
from trainer.distillation.inputs import coding, tree_inputs
from trainer.fit.determinism import make_deterministic
from trainer.fit.propensities import propensities

LEAST = 1_000
TREES = 40

Floats = NDArray[np.float64]


def click_rates(places: NDArray[np.int64], clicks: Floats) -> Floats:
    """Clicks an impression at each place over that of the first."""
    rates = np.bincount(places, clicks) / np.maximum(np.bincount(places), 1)
    relative: Floats = rates / rates[0]
    return relative


def harvested(shown: pl.DataFrame, by: list[str]) -> Floats:
    """e of each place up to the last, from rows (place, click, columns of `by`): what is alike in `by` attracts alike.

    For each pair of places k < l and what was shown at both, n_k and n_l times, the click rates at both are averaged with weights
    n_k n_l / (n_k + n_l), the same for both, so that their ratio is e_l / e_k. The e that fit all ratios best by their logs are found by
    least squares, each ratio weighted by its precision, 1 / (1 / clicks_k + 1 / clicks_l).
    """
    counts = shown.group_by(*by, "place").agg(n=pl.len(), clicks=pl.col("click").sum())
    weight = pl.col("n") * pl.col("n_right") / (pl.col("n") + pl.col("n_right"))
    pairs = (
        counts.join(counts, on=by)
        .filter(pl.col("place") < pl.col("place_right"))
        .group_by("place", "place_right")
        .agg(
            first=(weight * pl.col("clicks") / pl.col("n")).sum(),
            second=(weight * pl.col("clicks_right") / pl.col("n_right")).sum(),
            clicks=pl.col("clicks").sum(),
            clicks_right=pl.col("clicks_right").sum(),
        )
        .filter((pl.col("first") > 0) & (pl.col("second") > 0))
        .sort("place", "place_right")  # groups come in any order, and sums of floats would differ
    )
    ratio = np.log((pairs["second"] / pairs["first"]).to_numpy())
    precision = np.sqrt(1 / (1 / pairs["clicks"] + 1 / pairs["clicks_right"]).to_numpy())
    rows = np.arange(len(pairs))
    design = np.zeros((len(pairs), int(shown["place"].max()) + 1))  # type: ignore[arg-type]
    design[rows, pairs["place_right"].to_numpy()] = 1
    design[rows, pairs["place"].to_numpy()] = -1
    fitted, *_ = np.linalg.lstsq(design[:, 1:] * precision[:, None], ratio * precision, rcond=None)
    examination: Floats = np.exp(np.r_[0.0, fitted])
    return examination


def by_regression_em(inputs: Any, places: NDArray[np.int64], clicks: Floats, *, rounds: int, seed: int) -> Floats:
    """e of each place by rounds of expectation and maximisation; e is relative to the first place's in the end."""
    e: Floats = np.full(places.max() + 1, 0.5)
    s: NDArray[Any] = np.full(len(clicks), float(clicks.mean()))
    for _ in range(rounds):
        unseen = 1 - e[places] * s
        looked_at = np.where(clicks > 0, 1.0, e[places] * (1 - s) / unseen)
        attracts = np.where(clicks > 0, 1.0, s * (1 - e[places]) / unseen)
        e = np.bincount(places, looked_at) / np.maximum(np.bincount(places), 1)
        e = np.clip(e / e[0], 1e-3, 1.0)
        # One thread: on a machine that others use, threads that wait for each other cost minutes.
        settings = {"objective": "cross_entropy", "learning_rate": 0.1, "seed": seed, "verbose": -1, "num_threads": 1}
        s = np.asarray(lightgbm.train(settings, lightgbm.Dataset(inputs, attracts), TREES).predict(inputs))
    return e


def main() -> None:
    """Print the table."""
    parser = arguments(__doc__)
    parser.add_argument("--truth", type=Path, required=True, help="folder of the simulated shop's truth")
    parser.add_argument("--steps", type=int, nargs="+", default=(150, 300, 600, 1200))
    parser.add_argument("--rounds", type=int, default=10, help="of regression EM")
    args = parser.parse_args()
    dataset = load_dataset(args.dataset)
    config = ranker_config(dataset)
    examples = newest(args.root, "EventExampleGen/examples")
    tf.get_logger().setLevel("ERROR")  # each ranker traces its graphs anew, which TensorFlow takes for a mistake

    def shown(_records: tf.Tensor, features: Features) -> dict[str, Any]:
        rows = features["item"].value_rowids()
        return {
            "item": features["item"].flat_values.numpy().astype(str),
            "query": tf.gather(features["query"], rows).numpy().astype(str),
            "place": features["position"].flat_values.numpy(),
            "click": features["label"].flat_values.numpy().astype(np.float64),
        }

    def of_trees(_records: tf.Tensor, features: Features) -> dict[str, Any]:
        return tree_inputs(dataset, features)

    _, (logged, columns) = read(dataset, examples, "train", [shown, of_trees])
    frame, places, clicks = pl.DataFrame(logged), logged["place"], logged["click"]

    def piloted(steps: int) -> Floats:
        graph = tft.TFTransformOutput(str(newest(args.root, "Transform/transform_graph")))
        make_deterministic(dataset.seed)
        return propensities(files(examples, "train"), graph, dataset=dataset, config=config, steps=steps).astype(np.float64)

    def ways() -> Iterator[tuple[str, Callable[[], Floats]]]:
        yield "click rate by place", lambda: click_rates(places, clicks)
        yield "harvesting by item", lambda: harvested(frame, ["item"])
        yield "harvesting by item and query", lambda: harvested(frame.filter(pl.col("query") != ""), ["item", "query"])
        matrix = coding(dataset, columns).matrix(columns)
        yield "regression EM", lambda: by_regression_em(matrix, places, clicks, rounds=args.rounds, seed=dataset.seed)
        for steps in args.steps:
            yield f"examination, {steps} steps", partial(piloted, steps)

    counted = np.flatnonzero(np.bincount(places) >= LEAST)
    truth = np.array(json.loads((args.truth / "truth.json").read_text())["examination"])[counted]
    table = Table(title=f"{dataset.name}: e of the first {len(counted)} places from {len(places):,} impressions, against the truth")
    for name in ("way", "max error", "mean error", "mean log ratio", *(f"e({position})" for position in counted[1::3]), "seconds"):
        table.add_column(name, justify="left" if name == "way" else "right")
    table.add_row("truth", "", "", "", *(f"{each:.3f}" for each in truth[1::3]), "")
    for name, way in ways():
        begin = time.monotonic()
        estimate = way()[counted]
        seconds = time.monotonic() - begin
        error = np.abs(estimate - truth)
        off = np.log(estimate[1:] / truth[1:]).mean()
        numbers = [f"{error.max():.3f}", f"{error.mean():.3f}", f"{off:+.3f}", *(f"{each:.3f}" for each in estimate[1::3])]
        table.add_row(name, *numbers, f"{seconds:.0f}")
        print(name, *numbers, flush=True)
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
