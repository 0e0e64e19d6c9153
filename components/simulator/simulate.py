"""Simulate a shop block by block of time, and write its logs and its truth."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from components.contract.errors import ShelfRankError
from components.simulator import behaviour
from components.simulator.behaviour import Outcomes
from components.simulator.catalogue import items_table, users_table
from components.simulator.config import ShopConfig, midnight_us
from components.simulator.log import ACTIONS, EVENTS, EventRows, EventTables, PartFiles, event_rows
from components.simulator.season import HOUR_US, visit_share
from components.simulator.slates import EXTRA_CANDIDATES_STOP, PAGE_SHARE, REQUESTS_STOP, SEARCH, draw_requests, draw_sessions, draw_slates
from components.simulator.truth import RELEVANCE, RelevanceTables, RelevanceTally, write_parameters, write_people
from components.simulator.world import Floats, Ints, World, build_world

BLOCK_HOURS = (6, 4, 3, 2, 1)

_ROWS_PER_BLOCK = 250_000
_PILOT_SESSIONS = 3_000
_MIN_PAUSE_US = 45 * 60 * 1_000_000


class ShopFolderError(ShelfRankError):
    """Error of an output folder that isn't empty."""


@dataclass(frozen=True)
class ShopSummary:
    """Summary of the written shop.

    Attributes:
        out: folder of the shop.
        events: rows of each action.
        sessions: number of visits.
        requests: number of requests.
        shoppers: number of shoppers, with or without a visit.
        products: number of products.
        click_rate: clicks per impression.
        revenue: sum of the purchases.
        truth_auc: AUC of the true relevance against clicks, over all impressions.
    """

    out: Path
    events: dict[str, int]
    sessions: int
    requests: int
    shoppers: int
    products: int
    click_rate: float
    revenue: float
    truth_auc: float


def simulate(out: Path, config: ShopConfig, *, progress: Callable[[float, str], None] | None = None) -> ShopSummary:
    """Write a shop into a folder: `events/`, `items.parquet`, `users.parquet` and `truth/`.

    The folder is created atomically, at the end. `progress` is called with the share done, [0, 1], and the day of the
    block.

    Raises:
        ShopFolderError: `out` exists and isn't an empty folder.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ShopFolderError(f"{out}: expected a folder that is new or empty, found something in it; remove it or give another")
    staging = out.parent / f".{out.name}.unfinished"
    shutil.rmtree(staging, ignore_errors=True)
    (staging / "truth").mkdir(parents=True)
    simulation = _Simulation(config, staging)
    n_blocks = simulation.n_blocks
    for block in range(n_blocks):
        simulation.run(block)
        if progress is not None:
            progress((block + 1) / n_blocks, simulation.day(block))
    summary = simulation.finish(out)
    staging.replace(out)
    return summary


class _Simulation:
    """Running simulation of a shop; memory holds its shoppers, its products and one block of time."""

    def __init__(self, config: ShopConfig, folder: Path) -> None:
        self._config, self._folder = config, folder
        self._world = build_world(config)
        self._share = visit_share(config.start_us, 24 * config.days)
        self._hours = next((h for h in BLOCK_HOURS if config.events * h <= _ROWS_PER_BLOCK * 24 * config.days), BLOCK_HOURS[-1])
        self._intercept, self._centre = _calibrate(self._world)
        self._next_start_us = self._world.shoppers.created_us.copy()
        self._carried_over: EventRows | None = None
        self._sessions = self._requests = 0
        self._rows = np.zeros(len(ACTIONS), dtype=np.int64)
        self._revenue = 0.0
        self._tally = RelevanceTally(config.days)
        self._tables = EventTables(self._world)
        self._events = PartFiles(folder / "events", "part", EVENTS)
        self._relevance_files = PartFiles(folder / "truth", "relevance", RELEVANCE)
        self._relevance = RelevanceTables(self._world, self._relevance_files)
        pq.write_table(items_table(self._world), folder / "items.parquet", compression="zstd")
        pq.write_table(users_table(self._world), folder / "users.parquet", compression="zstd")
        write_people(self._world, folder / "truth")

    @property
    def n_blocks(self) -> int:
        return len(self._share) // self._hours

    def day(self, block: int) -> str:
        return str(np.datetime64(self._start_us(block), "us").astype("datetime64[D]"))

    def run(self, block: int) -> None:
        """Simulate the sessions that begin in a block and write the events up to its end."""
        world, config = self._world, self._config
        start_us = self._start_us(block)
        rng = np.random.default_rng([config.seed, 1, block])
        taste = _taste(world, start_us)
        sessions = draw_sessions(world, rng, self._visits(rng, block), self._next_start_us)
        requests = draw_requests(world, rng, sessions, taste, start_us)
        slates = draw_slates(world, rng, requests, start_us)
        price, relative_price = world.price(slates.item, start_us)
        log_odds = self._intercept + behaviour.attraction(world, sessions, requests, slates, taste, relative_price)
        treatment = np.where(world.shoppers.treated[requests.user[slates.request]], config.treatment_effect, 0.0)
        examined = behaviour.examination(slates.position, config.examination_decay)
        outcomes = behaviour.draw_outcomes(rng, examined=examined, price=price, log_odds=log_odds, centre=self._centre, treatment=treatment)
        moments = behaviour.draw_moments(rng, sessions, requests, slates, outcomes)
        self._next_start_us[sessions.user] = moments.end_us + _MIN_PAUSE_US
        self._relevance.write(slates, outcomes, self._requests)
        self._tally.add(block * self._hours // 24, outcomes, config.treatment_effect if config.treatment else 0.0)
        rows = event_rows(sessions, requests, slates, outcomes, moments, first_request=self._requests, first_session=self._sessions)
        self._sessions += len(sessions.user)
        self._requests += len(requests.page)
        self._count(rows, outcomes)
        self._write(rows, until_us=start_us + self._hours * HOUR_US, last=block == self.n_blocks - 1)

    def finish(self, out: Path) -> ShopSummary:
        """Close the files, write the parameters, and return the summary."""
        self._events.close()
        self._relevance_files.close()
        write_parameters(self._world, self._tally, intercept=self._intercept, folder=self._folder / "truth")
        events = dict(zip(ACTIONS, self._rows.tolist(), strict=True))
        return ShopSummary(
            out=out,
            events=events,
            sessions=self._sessions,
            requests=self._requests,
            shoppers=self._config.n_shoppers,
            products=self._config.n_products,
            click_rate=events["click"] / max(1, events["impression"]),
            revenue=round(self._revenue, 2),
            truth_auc=self._tally.auc(),
        )

    def _start_us(self, block: int) -> int:
        return self._config.start_us + block * self._hours * HOUR_US

    def _visits(self, rng: np.random.Generator, block: int) -> Ints:
        """Draw a block's sorted visit starts, as many as bring the rows so far to the season's share of the target."""
        hours = slice(block * self._hours, (block + 1) * self._hours)
        rows_due = self._config.events * float(self._share[: hours.stop].sum()) - float(self._rows.sum())
        fewest, most = self._config.candidates
        shown = min(fewest - 1 + 1 / EXTRA_CANDIDATES_STOP, most)
        rows_per_session = (PAGE_SHARE[SEARCH] + shown * (1 + 1.35 * behaviour.CLICK_RATE)) / REQUESTS_STOP
        n = max(0, round(rows_due / rows_per_session))
        edges = np.concatenate([[0.0], np.cumsum(self._share[hours])])
        hour = np.interp(rng.random(n) * edges[-1], edges, np.arange(self._hours + 1))
        return np.sort(self._start_us(block) + (hour * HOUR_US).astype(np.int64))

    def _count(self, rows: EventRows, outcomes: Outcomes) -> None:
        self._rows += np.bincount(rows.action, minlength=len(ACTIONS))
        self._revenue += float(outcomes.price[outcomes.purchased].sum())

    def _write(self, rows: EventRows, *, until_us: int, last: bool) -> None:
        """Write events in order of time; those after the block's end are carried over to the next block."""
        if self._carried_over is not None:
            rows = self._carried_over.concat(rows)
        rows = rows.take(np.lexsort((rows.position, rows.request, rows.time_us)))
        n_ready = len(rows) if last else int(np.searchsorted(rows.time_us, until_us))
        self._carried_over = rows.take(np.arange(n_ready, len(rows)))
        if n_ready:
            self._events.write(self._tables(rows.take(np.arange(n_ready))))


def _taste(world: World, time_us: int) -> Floats:
    drift_at = world.config.drift_at
    drifted = drift_at is not None and time_us >= midnight_us(drift_at)
    return world.shoppers.taste_after_drift if drifted else world.shoppers.taste


def _calibrate(world: World) -> tuple[float, float]:
    """Find the intercept that gives the click rate in a pilot of the first hours, and the mean log-odds with it."""
    start_us = world.config.start_us
    rng = np.random.default_rng([world.config.seed, 3])
    n = min(_PILOT_SESSIONS, world.config.n_shoppers)
    sessions = draw_sessions(world, rng, np.full(n, start_us), world.shoppers.created_us)
    requests = draw_requests(world, rng, sessions, world.shoppers.taste, start_us)
    slates = draw_slates(world, rng, requests, start_us)
    _, relative_price = world.price(slates.item, start_us)
    log_odds = behaviour.attraction(world, sessions, requests, slates, world.shoppers.taste, relative_price)
    examined = behaviour.examination(slates.position, world.config.examination_decay)
    intercept = behaviour.intercept_for(behaviour.CLICK_RATE, log_odds, examined)
    return intercept, intercept + float(log_odds.mean())
