"""Measure the drift check where the truth is known: false decisions, power, and whether each planted fault is named.

    python -m benchmarks.drift [--shops 12] [--days 120] [--events 600000] [--fault-shops 3] [--work DIR] [--json FILE]

Simulated shops with season, new products each day and shoppers who return are ingested by examples/simulated_shop.yaml;
scores are those of trees trained on the first fourteen days, which are left out. Each day, the reference is the three
weeks before it.

- Clean windows: in how many the check decides anything but `nothing`. At most 5 % may.
- Planted faults, in windows of one, three and seven days: in how many the decision is right, and in how many a reason
  names the fault. Another taste is simulated by a shop that turns on a day.
- Power: 20 columns of 20,000 rows of 2,000 shoppers, of which one is scaled by 1.05; and the same without a change.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.drift.planted import Fault, faults
from benchmarks.drift.scaled_column import Power, power
from benchmarks.drift.shops import WARM_UP_DAYS, Requests, shop
from benchmarks.ingest.ingest import DATASET
from components.contract.load import load_dataset
from components.drift.check import Check, Window, check
from components.drift.decision import Action
from components.simulator import ShopConfig

REFERENCE_DAYS = 21
WINDOW_HOURS = (24, 72, 168)
_HOUR_US = 3_600_000_000
_STEP_DAYS = 4  # between windows with planted faults
_TURN_DAY = WARM_UP_DAYS + REFERENCE_DAYS  # of a shop whose tastes turn


@dataclass(frozen=True)
class Clean:
    """Windows without a fault: how many, their requests in the mean, and how many were decided on, with the reasons."""

    windows: int
    requests: float
    decided: int
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Detection:
    """Windows with a fault: how many, their requests in the mean, and the shares decided rightly and named."""

    fault: str
    hours: int
    windows: int
    requests: float
    decided: float
    named: float


def clean(requests: Requests) -> Clean:
    """Check every day of a shop against the weeks before it."""
    sizes, decisions = [], []
    for reference, requests_of_day in _windows(requests, hours=24, step_days=1):
        window = requests_of_day.window()
        sizes.append(_size(window))
        decisions.append(_check(reference, window).decision)
    reasons = tuple(reason.text for decision in decisions for reason in decision.reasons)
    return Clean(len(sizes), float(np.mean(sizes)), sum(each.action is not Action.NOTHING for each in decisions), reasons)


def planted(requests: Requests, kinds: Sequence[Fault]) -> list[Detection]:
    """Check windows of a shop, of each length, with each fault in each."""
    results: dict[tuple[str, int], list[tuple[float, bool, bool]]] = {}
    for reference, longest in _windows(requests, hours=max(WINDOW_HOURS), step_days=_STEP_DAYS):
        start = int(longest.block.times_us.min() // _HOUR_US) // 24 * 24
        for hours in WINDOW_HOURS:
            window = longest.between(start, start + hours)
            for fault in kinds:
                results.setdefault((fault.name, hours), []).append(_detected(reference, fault.plant(window).window(), fault))
    return [_detection(name, hours, each) for (name, hours), each in results.items()]


def turned(requests: Requests) -> list[Detection]:
    """Check windows of a shop in the days after its tastes have turned."""
    fault = Fault("another taste", lambda each: each, (Action.RETRAIN_WARM, Action.RETRAIN_FULL), ("changed taste",), "ranking")
    first = _first_hour(requests)
    turn = first + REFERENCE_DAYS * 24
    reference = requests.between(first, turn).window()
    detections = []
    for hours in WINDOW_HOURS:
        windows = [requests.between(turn + day * 24, turn + day * 24 + hours).window() for day in range(3)]
        detections.append(_detection(fault.name, hours, [_detected(reference, window, fault) for window in windows]))
    return detections


def _detected(reference: Window, window: Window, fault: Fault) -> tuple[float, bool, bool]:
    decision = _check(reference, window).decision
    return _size(window), decision.action in fault.actions, fault.named_by(decision.reasons)


def _detection(name: str, hours: int, results: Sequence[tuple[float, bool, bool]]) -> Detection:
    return Detection(name, hours, len(results), *(float(np.mean(column)) for column in zip(*results, strict=True)))


def _windows(requests: Requests, *, hours: int, step_days: int) -> Iterator[tuple[Window, Requests]]:
    """Yield references and the requests that follow them."""
    first, end = _first_hour(requests), int(requests.block.times_us.max() // _HOUR_US)
    for start in range(first + REFERENCE_DAYS * 24, end - hours + 1, step_days * 24):
        yield requests.between(start - REFERENCE_DAYS * 24, start).window(), requests.between(start, start + hours)


def _first_hour(requests: Requests) -> int:
    return int(requests.block.times_us.min() // _HOUR_US) // 24 * 24


def _check(reference: Window, window: Window) -> Check:
    return check(reference, window, load_dataset(DATASET))


def _size(window: Window) -> float:
    return float(window.sketch.requests.sum())


def main() -> None:
    """Run everything and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shops", type=int, default=12, help="with clean windows")
    parser.add_argument("--fault-shops", type=int, default=3, help="with planted faults")
    parser.add_argument("--days", type=int, default=120, help="of each shop's log")
    parser.add_argument("--events", type=int, default=600_000, help="of each shop's log")
    parser.add_argument("--power-runs", type=int, default=200)
    parser.add_argument("--work", type=Path, help="folder that keeps the shops")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        windows = [clean(shop(work / f"{seed}", _config(options, seed))) for seed in track(range(options.shops), "clean windows")]
        console.print(_clean_table(windows))
        detections = []
        kinds = faults(load_dataset(DATASET))
        for seed in track(range(options.fault_shops), "planted faults"):
            detections += planted(shop(work / f"{seed}", _config(options, seed)), kinds)
        for seed in track(range(4 * options.fault_shops), "tastes that turn"):
            config = _config(options, 1_000 + seed, days=_TURN_DAY + 9, turning=True)
            detections += turned(shop(work / f"turn{seed}", config))
        console.print(_planted_table(detections))
        powers = power(options.power_runs)
        console.print(_power_table(powers))
        if options.json:
            results = {"clean": windows, "planted": detections, "power": powers}
            options.json.write_text(json.dumps(results, default=asdict, indent=1))


def _config(options: argparse.Namespace, seed: int, *, days: int = 0, turning: bool = False) -> ShopConfig:
    days = days or options.days
    config = ShopConfig(events=options.events * days // options.days, days=days, seed=seed, shoppers=options.events // 150)
    return replace(config, drift_at=config.start + timedelta(days=_TURN_DAY)) if turning else config


def _clean_table(windows: list[Clean]) -> Table:
    table = Table("clean windows", "requests each", "decided on", "share", title="False decisions")
    total, decided = sum(each.windows for each in windows), sum(each.decided for each in windows)
    table.add_row(f"{total:,}", f"{np.mean([each.requests for each in windows]):,.0f}", f"{decided}", f"{decided / total:.1%}")
    for text in [text for each in windows for text in each.reasons][:10]:
        table.add_row("", "", text, "")
    return table


def _planted_table(detections: list[Detection]) -> Table:
    table = Table("fault", "hours", "requests", "windows", "right decision", "named", title="Planted faults")
    for fault, hours in dict.fromkeys((each.fault, each.hours) for each in detections):
        of_shops = [each for each in detections if (each.fault, each.hours) == (fault, hours)]
        weights = [each.windows for each in of_shops]
        requests, decided, named = (
            float(np.average([getattr(each, name) for each in of_shops], weights=weights)) for name in ("requests", "decided", "named")
        )
        table.add_row(fault, f"{hours}", f"{requests:,.0f}", f"{sum(weights)}", f"{decided:.0%}", f"{named:.0%}")
    return table


def _power_table(powers: list[Power]) -> Table:
    table = Table("column", "reference rows", "found", "false alarms elsewhere", title="One of 20 columns scaled by 1.05, 20,000 rows")
    for each in powers:
        table.add_row(each.column, f"{each.reference_rows:,}", f"{each.detected:.1%}", f"{each.false_alarms:.1%}")
    return table
