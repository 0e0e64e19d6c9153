"""Measure the drift check where the truth is known: false decisions, power, and whether each planted fault is named.

    python -m benchmarks.drift [--shops 12] [--days 120] [--events 600000] [--fault-shops 3] [--work DIR] [--json FILE]

Simulated shops with season, new products each day and shoppers who return are ingested by examples/simulated_shop.yaml;
scores are those of trees trained on the first fourteen days, which are left out. Each day, the reference is the three
weeks before it.

- Clean windows: in how many the check decides anything but `nothing`. At most 5 % may.
- Planted faults, in windows of 6, 12, 24 and 72 hours: in how many the decision is right, and in how many a reason
  names the fault. Another taste is simulated by a shop that turns on a day.
- Power: 20 columns of 20,000 rows of 2,000 shoppers, of which one is scaled by 1.05; and the same without a change.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
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
WINDOW_HOURS = (6, 12, 24, 72)
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
    checked = [(window, _check(reference, window)) for reference, window in _windows(requests, hours=24, step_days=1)]
    reasons = [reason.text for _, each in checked for reason in each.decision.reasons]
    decided = sum(each.decision.action is not Action.NOTHING for _, each in checked)
    return Clean(len(checked), float(np.mean([_size(window) for window, _ in checked])), decided, tuple(reasons))


def planted(requests: Requests, fault: Fault, hours: int) -> Detection:
    """Check windows of a shop with a fault in each."""
    results = []
    for reference, window in _windows(requests, hours=hours, step_days=_STEP_DAYS, fault=fault):
        decision = _check(reference, window).decision
        results.append((_size(window), decision.action in fault.actions, fault.named_by(decision.reasons)))
    return Detection(fault.name, hours, len(results), *(float(np.mean(column)) for column in zip(*results, strict=True)))


def turned(work: Path, config: ShopConfig, hours: int) -> Detection:
    """Check windows of shops in the days after tastes have turned."""
    requests = shop(work, config)
    first = _first_hour(requests)
    results = []
    fault = Fault("another taste", lambda each: each, (Action.RETRAIN_WARM, Action.RETRAIN_FULL), ("changed taste",), "ranking")
    reference = requests.between(first, first + REFERENCE_DAYS * 24).window()
    for day in range(3):
        start = first + (REFERENCE_DAYS + day) * 24
        window = requests.between(start, start + hours).window()
        decision = _check(reference, window).decision
        results.append((_size(window), decision.action in fault.actions, fault.named_by(decision.reasons)))
    return Detection(fault.name, hours, len(results), *(float(np.mean(column)) for column in zip(*results, strict=True)))


def _windows(requests: Requests, *, hours: int, step_days: int, fault: Fault | None = None) -> Iterator[tuple[Window, Window]]:
    """Yield references and the windows that follow them."""
    first, end = _first_hour(requests), int(requests.block.times_us.max() // 3_600_000_000)
    for start in range(first + REFERENCE_DAYS * 24, end - hours + 1, step_days * 24):
        window = requests.between(start, start + hours)
        yield requests.between(start - REFERENCE_DAYS * 24, start).window(), (fault.plant(window) if fault else window).window()


def _first_hour(requests: Requests) -> int:
    return int(requests.block.times_us.min() // 86_400_000_000) * 24


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
        detections: dict[tuple[str, int], list[Detection]] = {}
        for seed in track(range(options.fault_shops), "planted faults"):
            requests = shop(work / f"{seed}", _config(options, seed))
            for hours in WINDOW_HOURS:
                for fault in faults(load_dataset(DATASET)):
                    detections.setdefault((fault.name, hours), []).append(planted(requests, fault, hours))
        for seed in track(range(4 * options.fault_shops), "tastes that turn"):
            config = _config(options, 1_000 + seed, days=_TURN_DAY + 6, turning=True)
            for hours in WINDOW_HOURS:
                detections.setdefault(("another taste", hours), []).append(turned(work / f"turn{seed}", config, hours))
        console.print(_planted_table(detections))
        powers = power(options.power_runs)
        console.print(_power_table(powers))
        if options.json:
            results = {"clean": windows, "planted": [each for many in detections.values() for each in many], "power": powers}
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


def _planted_table(detections: dict[tuple[str, int], list[Detection]]) -> Table:
    table = Table("fault", "hours", "requests", "windows", "right decision", "named", title="Planted faults")
    for (fault, hours), results in detections.items():
        weights = [each.windows for each in results]
        requests, decided, named = (
            float(np.average([getattr(each, name) for each in results], weights=weights)) for name in ("requests", "decided", "named")
        )
        table.add_row(fault, f"{hours}", f"{requests:,.0f}", f"{sum(weights)}", f"{decided:.0%}", f"{named:.0%}")
    return table


def _power_table(powers: list[Power]) -> Table:
    table = Table("column", "reference rows", "found", "false alarms elsewhere", title="One of 20 columns scaled by 1.05, 20,000 rows")
    for each in powers:
        table.add_row(each.column, f"{each.reference_rows:,}", f"{each.detected:.1%}", f"{each.false_alarms:.1%}")
    return table
