"""Shapes of simulated shops: steady, with few shoppers who return often, growing with odd days, large."""

import shutil
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.drift.shops import Requests, read_shop
from benchmarks.ingest.ingest import ONE_THREAD, run
from components.simulator import ShopConfig, simulate

_DAY_US = 86_400_000_000


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A kind of shop.

    Attributes:
        name: of the shape.
        events: a day, before growth is taken off.
        days: of the log.
        shoppers: by the last day.
        at_start: share of those shoppers who come from the first day on; the others join evenly over the log.
        odd_days: standard deviation of the logarithm of a day's share of visits.
        turn: after which all tastes are turned by 90 degrees, or None.
    """

    name: str
    events: int
    days: int
    shoppers: int
    at_start: float = 1.0
    odd_days: float = 0.0
    turn: timedelta | None = None


STEADY = Shape(name="steady", events=5_000, days=120, shoppers=4_000)
LOYAL = Shape(name="few shoppers", events=5_000, days=120, shoppers=600)
GROWING = Shape(name="growing, odd days", events=11_000, days=120, shoppers=9_000, at_start=0.5, odd_days=0.15)
LARGE = Shape(name="large", events=40_000, days=84, shoppers=22_000)


def shop(work: Path, shape: Shape, seed: int) -> Requests:
    """Simulate and ingest a shop, or read it if `work` holds it, and return its requests after the warm-up."""
    logs, out = work / "logs", work / "ingested"
    config = ShopConfig(events=shape.events * shape.days, days=shape.days, seed=seed, shoppers=shape.shoppers)
    if shape.turn is not None:
        config = replace(config, drift_at=config.start + shape.turn)
    if not (out / "report.json").exists():
        shutil.rmtree(work, ignore_errors=True)
        simulate(logs, config)
        if shape.at_start < 1 or shape.odd_days:
            _thin(logs, shape, config)
        run(logs, out, ONE_THREAD)
    return read_shop(out / "examples", logs, config)


def _thin(logs: Path, shape: Shape, config: ShopConfig) -> None:
    """Take away the visits of shoppers before they joined, and a part of the visits of each day."""
    rng = np.random.default_rng([config.seed, 7])
    shares = np.exp(rng.normal(0, shape.odd_days, shape.days + 1)) if shape.odd_days else np.ones(shape.days + 1)
    events = pl.read_parquet(logs / "events" / "*.parquet").with_columns(
        day=(pl.col("time").min().over("session_id").cast(pl.Int64) - config.start_us) // _DAY_US
    )
    users = events.select(pl.col("user_id").unique().sort())
    joined = np.maximum((rng.random(len(users)) - shape.at_start) / (1 - shape.at_start), 0) * shape.days if shape.at_start < 1 else 0.0
    sessions = events.group_by("session_id").agg(pl.col("user_id").first(), pl.col("day").first()).sort("session_id")
    sessions = sessions.join(users.with_columns(joined=pl.Series(np.broadcast_to(joined, len(users)))), on="user_id")
    sessions = sessions.sort("session_id").with_columns(drawn=pl.Series(rng.random(len(sessions)) * shares.max()))
    kept = sessions.filter(
        (pl.col("day") >= pl.col("joined")) & (pl.col("drawn") < pl.Series(shares).gather(sessions["day"].clip(0, shape.days)))
    )
    thinned = events.join(kept.select("session_id"), on="session_id", how="semi").drop("day")
    shutil.rmtree(logs / "events")
    (logs / "events").mkdir()
    thinned.write_parquet(logs / "events" / "part-00000.parquet")
