"""Write a shop's log, its dataset file and its experiment's file as a shop has them."""

from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.experiment.shop import EXPERIMENT, FIRST_DAY, PLACES, ShopLog
from components.contract.dataset import Dataset
from components.contract.load import load_dataset

DATASET = """\
name: planted_shop
events:
  path: log/interactions-*.jsonl
  format: jsonl
  columns: {time: time, user: user, item: item, action: action, request: request, session: session, position: position,
            revenue: revenue, quantity: quantity, margin: margin}
  time_unit: us
actions:
  impression: {}
  click: {label: 1}
  purchase: {label: 4}
candidates: {from: impressions}
features:
  - {name: item, kind: id, side: item, buckets: 10000}
"""


def planted_dataset(folder: Path) -> Dataset:
    """Write the dataset file, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shop.yaml").write_text(DATASET)
    return load_dataset(folder / "shop.yaml")


def experiment_text(*, shares: dict[str, float], lines: str = "") -> str:
    """Return the experiment's file."""
    arms = ", ".join(f"{name}: {100 * share:g}%" for name, share in shares.items())
    return (
        f"experiment: {EXPERIMENT}\ndataset: shop.yaml\nlog: log\ncontrol: {next(iter(shares))}\narms: {{{arms}}}\n"
        f"from: {FIRST_DAY}\ncurrency: EUR\n{lines}"
    )


def write_log(log: ShopLog, folder: Path, *, name: str) -> None:
    """Write one file of decisions and one of interactions, as the ranking service does; `name` orders the files."""
    folder.mkdir(parents=True, exist_ok=True)
    logged_decisions(log.decisions).write_ndjson(folder / f"decisions-{name}.jsonl")
    columns = log.interactions.with_columns(position=pl.lit(0))
    columns.write_ndjson(folder / f"interactions-{name}.jsonl")


def logged_decisions(decisions: pl.DataFrame) -> pl.DataFrame:
    """Return decisions with the fields of the log: items, scores and an order besides those that were drawn."""
    n = len(decisions)
    rng = np.random.default_rng(n)
    items = pl.Series(rng.integers(0, 5000, n * PLACES)).cast(pl.String).reshape((n, PLACES)).arr.to_list()
    scores = pl.Series(np.round(rng.random(n * PLACES), 4)).reshape((n, PLACES)).arr.to_list()
    return decisions.select(
        "request",
        "time",
        "user",
        "session",
        label=pl.lit("stable"),
        version=pl.lit("7"),
        arms=pl.struct(pl.col("arm").alias(EXPERIMENT)),
        degraded="degraded",
        source=pl.lit(""),
        model_ms="model_ms",
        items=items,
        scores=scores,
        order=pl.lit(pl.Series([list(range(PLACES))])).first(),
        shown=pl.lit(PLACES),
        rules=pl.lit(pl.Series([[]], dtype=pl.List(pl.String))).first(),
        features=pl.lit(None, pl.String),
    )
