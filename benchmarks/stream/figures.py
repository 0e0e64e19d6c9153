"""Measure what live figures cost a core, and their memory.

    python -m benchmarks.stream.figures [--events 1500000] [--rate 50000] [--most-requests 262144] [--json FILE]

Requests of ten impressions by returning shoppers, a click on every second and a purchase on every tenth; a quarter of the actions
names no request, and one in a hundred impressions comes after its actions. The events come in batches of 5,000 at the rate given by their
own clock, and are joined once a second of it. Printed: processor time for each second of events, after the first tenth.
"""

import argparse
import json
import resource
import time
from pathlib import Path

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from components.contract.dataset import Dataset
from components.contract.load import parse_dataset
from serving.stream.figures.breakdown import Dimension
from serving.stream.figures.live_figures import FigureSettings, LiveFigures

BATCH = 5_000
SHOP = """\
name: little
events:
  path: events.csv
  columns: {time: at, user: user, item: item, action: action, request: request, session: visit, revenue: paid}
actions: {impression: {}, click: {label: 1}, buy: {label: 2, amount: revenue}}
candidates: {from: impressions}
attribution: 1h
half_lives: [1d]
windows: {until: 2026-02-01}
features:
  - {name: price, kind: number, side: item, source: events}
  - {name: seen, kind: state, side: item, measure: count, action: click}
"""


def stream(events: int, rate: int, *, shoppers: int, seed: int) -> pl.DataFrame:
    """Return events in the order of arrival, with version and arms of their request."""
    rng = np.random.default_rng(seed)
    requests = int(events / 10.6)
    user, begun = rng.integers(0, shoppers, requests), np.sort(rng.random(requests)) * events / rate
    shown = np.repeat(np.arange(requests), 10)
    late = rng.random(len(shown)) < 0.01
    clicked, bought = np.flatnonzero(rng.random(requests) < 0.5), np.flatnonzero(rng.random(requests) < 0.1)
    acted = np.concatenate([clicked, bought])
    request = np.concatenate([shown, acted])
    action = np.repeat([0, 1, 2], [len(shown), len(clicked), len(bought)])
    item = np.concatenate([rng.integers(0, 100_000, len(shown)), np.zeros(len(acted), np.int64)])
    item[len(shown) :] = item[acted * 10 + rng.integers(0, 10, len(acted))]
    seconds = begun[request] + np.where(action > 0, rng.exponential(20.0, len(request)), 0.0)
    arrives = seconds + np.concatenate([np.where(late, 5.0, 0.0), np.zeros(len(acted))])
    names = np.where((action > 0) & (rng.random(len(request)) < 0.25), -1, request)
    frame = pl.DataFrame(
        {
            "time": (seconds * 1e6).astype(np.int64) + 1_700_000_000_000_000,
            "user": user[request],
            "item": item,
            "action": action.astype(np.int8),
            "request": names,
            "revenue": np.where(action == 2, rng.gamma(2.0, 20.0, len(request)), np.nan),
            "version": request % 2 + 7,
            "arms": user[request] % 2,
        }
    )[np.argsort(arrives, kind="stable")]
    return frame.select(
        "time",
        pl.format("shopper-{}", "user").alias("user"),
        pl.format("item-{}", "item").alias("item"),
        "action",
        pl.when(pl.col("request") >= 0).then(pl.format("0190b0f4-7d4e-7000-8000-{}", "request")).otherwise(pl.lit("")).alias("request"),
        pl.lit("").alias("session"),
        "revenue",
        pl.col("version").cast(pl.String),
        pl.when(pl.col("arms") == 0).then(pl.lit('{"ranker":"new"}')).otherwise(pl.lit('{"ranker":"old"}')).alias("arms"),
    )


def batches(events: pl.DataFrame) -> list[tuple[pl.DataFrame, pl.DataFrame, int]]:
    """Return batches as the decoder gives them, and when each came."""
    result = []
    for begin in range(0, len(events), BATCH):
        batch = events[begin : begin + BATCH].with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("seq"))
        meta = batch.select(pl.col("seq").alias("__row__"), "version", "arms")
        newest_us = batch["time"].to_numpy().max()
        result.append((batch.drop("version", "arms"), meta, int(newest_us)))
    return result


def measure(dataset: Dataset, parts: list[tuple[pl.DataFrame, pl.DataFrame, int]], settings: FigureSettings, rate: int) -> dict[str, float]:
    """Return the cost of joining, of a scrape, and what was counted."""
    figures = LiveFigures(dataset, settings)
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    warm = len(parts) // 10
    for part in parts[:warm]:
        figures.add(part[0], part[1], now_us=part[2], watermark_us=part[2])
    began_s = time.process_time()
    for part in parts[warm:]:
        figures.add(part[0], part[1], now_us=part[2], watermark_us=part[2])
    cost_s = time.process_time() - began_s
    began_s = time.process_time()
    metrics = figures.metrics()
    scrape_s = time.process_time() - began_s
    events = sum(len(part[0]) for part in parts[warm:])
    everything = metrics.open[Dimension("all")]
    return {
        "share of a core": cost_s / (events / rate),
        "microseconds an event": cost_s / events * 1e6,
        "ms a scrape": scrape_s * 1e3,
        "open requests": everything.requests,
        "click rate": everything.followed["click"] / everything.requests,
        "share of shoppers": metrics.share,
        "MB more": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before_mb,
    }


def main() -> None:
    """Print what live figures cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_500_000)
    parser.add_argument("--rate", type=int, default=50_000)
    parser.add_argument("--shoppers", type=int, default=50_000)
    parser.add_argument("--most-requests", type=int, default=1 << 18)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    parts = batches(stream(args.events, args.rate, shoppers=args.shoppers, seed=args.seed))
    measured = measure(parse_dataset(SHOP), parts, FigureSettings(most_requests=args.most_requests), args.rate)
    table = Table("figure", "value")
    for name, value in measured.items():
        table.add_row(name, f"{value:,.3f}")
    Console().print(table)
    if args.json:
        args.json.write_text(json.dumps(measured, indent=1))


if __name__ == "__main__":
    main()
