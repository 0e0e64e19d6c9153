"""Compare off-policy estimates on simulated shops with the truth: their errors, and the coverage of their intervals.

    python -m benchmarks.evaluation.off_policy [--shops 20] [--events 60000]

Each shop logs clicks on its own mediocre order. The target policies are other orders of the same candidates: by relevance with some noise
(a good ranker), by popularity without noise, and at random. The truth is their expected number of clicks: the sum of examination at the new
position times relevance, both from the simulator. The predicted relevance of the doubly robust estimate has noise and a bias of a third.

The examination that a candidate could expect is taken from the shop's policy by drawing its order again: popularity + 0.4 in the category
looked for + noise of 0.7 (docs/explanation/simulated-shop.md). As the category isn't logged, it is that of most candidates, on pages
where it surely is: search and category. "as shown" is what one gets who takes the clicks on the shown order for the worth of the new one.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from components.evaluation.metrics.id_hashes import hashed
from components.evaluation.metrics.off_policy import Estimate, LoggedRequests, off_policy_values
from components.simulator import ShopConfig, simulate

DRAWS = 300

Results = dict[str, tuple[Estimate, float]]
"""By order and estimator: the estimate, and the truth."""


def judged(shop: Path, seed: int) -> Results:
    """Return all estimates of one shop with the truth of each."""
    events = pl.read_parquet(shop / "events" / "*.parquet").filter(pl.col("page") != "home")
    clicked = events.filter(pl.col("action") == "click").select("request_id", "item_id", clicked=pl.lit(1.0)).unique()
    shown = events.filter(pl.col("action") == "impression").select("request_id", "item_id", "user_id")
    items = pl.read_parquet(shop / "truth" / "items.parquet").join(pl.read_parquet(shop / "items.parquet"), on="item_id")
    logged = (
        pl.read_parquet(shop / "truth" / "relevance-*.parquet")
        .join(shown, on=["request_id", "item_id"])
        .join(clicked, on=["request_id", "item_id"], how="left")
        .join(items.select("item_id", "popularity", "category"), on="item_id")
        .with_columns(looked_for=pl.col("category") == pl.col("category").mode().first().over("request_id"))
        .sort("request_id", "position")
    )
    of_requests = logged.group_by("request_id", maintain_order=True).agg(pl.len(), pl.col("user_id").first())
    lengths = of_requests["len"].cast(pl.Int64).to_numpy()
    places = logged["position"].cast(pl.Int64).to_numpy()
    clicks = logged["clicked"].fill_null(0.0).to_numpy()
    relevance = logged["relevance"].cast(pl.Float64).to_numpy()
    examination = np.array(json.loads((shop / "truth" / "truth.json").read_text())["examination"])
    rng = np.random.default_rng(seed)
    drawn_by = (logged["popularity"] + 0.4 * logged["looked_for"].cast(pl.Float64)).to_numpy()
    expected = np.zeros(len(drawn_by))
    for _ in range(DRAWS):
        expected += examination[_new_places(drawn_by + 0.7 * rng.normal(size=len(drawn_by)), lengths)] / DRAWS
    users = hashed(pa.array(of_requests["user_id"].to_list()))
    requests = LoggedRequests(clicks, places, lengths, users, expected)
    only_place = LoggedRequests(clicks, places, lengths, users)
    predicted = np.clip(1.33 * relevance + 0.05 * rng.normal(size=len(relevance)), 0, 1)
    orders = {
        "good": np.log(relevance / (1 - relevance)) + rng.normal(size=len(relevance)),
        "popularity": logged["popularity"].to_numpy(),
        "random": rng.random(len(relevance)),
    }
    results: Results = {}
    for name, scores in orders.items():
        new = examination[_new_places(scores, lengths)]
        clicks_a_request = float(new @ relevance) / len(lengths)
        truth = {"ips": clicks_a_request, "dr": clicks_a_request, "snips": float(new @ relevance / relevance.sum())}
        estimates = off_policy_values(requests, scores.astype(np.float32), examination, predicted=predicted)
        results |= {f"{name}, {estimator}": (estimates[estimator], truth[estimator]) for estimator in ("ips", "snips", "dr")}
        by_place = off_policy_values(only_place, scores.astype(np.float32), examination)
        results |= {f"{name}, {estimator} by place": (by_place[estimator], truth[estimator]) for estimator in ("ips", "snips")}
        results[f"{name}, as shown"] = (estimates["shown"], clicks_a_request)
    return results


def _new_places(scores: NDArray[np.float64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    row = np.repeat(np.arange(len(lengths)), lengths)
    order = np.lexsort((-scores, row))
    places = np.empty(len(scores), np.int64)
    places[order] = np.arange(len(scores)) - (np.cumsum(lengths) - lengths)[row]
    return places


def main() -> None:
    """Simulate, estimate, print the table."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shops", type=int, default=20)
    parser.add_argument("--events", type=int, default=60_000)
    args = parser.parse_args()
    shops: list[Results] = []
    with tempfile.TemporaryDirectory() as temporary:
        for seed in range(args.shops):
            shop = Path(temporary) / str(seed)
            simulate(shop, ShopConfig(events=args.events, seed=seed))
            shops.append(judged(shop, seed))
    table = Table(title=f"{args.shops} simulated shops of {args.events:,} events")
    for column in ("order, estimator", "truth", "mean error", "mean margin", "intervals that hold the truth"):
        table.add_column(column, justify="left" if column.startswith("order") else "right")
    for name in shops[0]:
        estimates, truths = zip(*(shop[name] for shop in shops), strict=True)
        errors = [estimate.value - truth for estimate, truth in zip(estimates, truths, strict=True)]
        held = sum(estimate.covers(truth) for estimate, truth in zip(estimates, truths, strict=True))
        margin = np.mean([estimate.margin for estimate in estimates])
        table.add_row(name, f"{np.mean(truths):.4f}", f"{np.mean(errors):+.4f}", f"{margin:.4f}", f"{held} of {len(shops)}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
