"""Measure in how many requests the drift check decides rightly on planted faults, and names them.

    python -m benchmarks.drift.detection [--shops 2] [--large-shops 1] [--tastes 8] [--step 1] [--only NAME] [--work DIR] [--json FILE]

Shops and releases are those of benchmarks/drift/clean.py; of every week the first day, the first three and all seven
are checked with each fault of benchmarks/drift/planted.py. Another taste is simulated by shops that turn on a day, by 90
degrees. Right: the decision is one that the fault asks for. Named: one of the reasons has its kind and its subject.
"""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.drift.clean import REFERENCE_DAYS, releases
from benchmarks.drift.planted import Fault, faults
from benchmarks.drift.shapes import LARGE, STEADY, Shape, shop
from benchmarks.drift.shops import WARM_UP_DAYS, Requests
from benchmarks.ingest.ingest import DATASET
from components.contract.dataset import Dataset
from components.contract.load import load_dataset
from components.drift.check import Window, check
from components.drift.decision import Action

WINDOW_DAYS = (1, 3, 7)
ENOUGH = 0.9
"""Share of windows named from which a size is enough."""

_TURN_DAY = WARM_UP_DAYS + REFERENCE_DAYS  # of a shop whose tastes turn
_TASTE_DAYS = _TURN_DAY + 8


@dataclass(frozen=True, kw_only=True)
class Detection:
    """A window with a fault, and whether the decision is right and names it; else what it said."""

    fault: str
    shape: str
    days: int
    requests: int
    decided: bool
    named: bool
    reasons: tuple[str, ...]


def planted(requests: Requests, shape: Shape, kinds: Sequence[Fault], dataset: Dataset, *, step: int) -> Iterator[Detection]:
    """Check windows of a shop, of each length, with each fault in each; of every `step` weeks one."""
    for reference, start in list(releases(requests))[::step]:
        for days in WINDOW_DAYS:
            window = requests.between(start, start + days * 24)
            for fault in kinds:
                yield _detection(fault, shape, days, reference, fault.window(window), dataset)


def turned(work: Path, shape: Shape, seed: int, dataset: Dataset) -> Iterator[Detection]:
    """Check windows of a shop from the day on which its tastes turn."""
    fault = Fault(
        name="another taste",
        plant=lambda each: each,
        actions=(Action.RETRAIN_WARM, Action.RETRAIN_FULL),
        kinds=("changed taste",),
        subjects=("ranking",),
    )
    shape = replace(shape, days=_TASTE_DAYS, turn=timedelta(days=_TURN_DAY))
    requests = shop(work / f"{shape.name} taste {seed}", shape, 1_000 + seed)
    ((reference, start),) = releases(requests)
    for days in WINDOW_DAYS:
        for first in range(0, 7 - days + 1, days):
            window = requests.between(start + first * 24, start + (first + days) * 24).window()
            yield _detection(fault, shape, days, reference, window, dataset)


def _detection(fault: Fault, shape: Shape, days: int, reference: Window, window: Window, dataset: Dataset) -> Detection:
    decision = check(reference, window, dataset).decision
    return Detection(
        fault=fault.name,
        shape=shape.name,
        days=days,
        requests=int(window.sketch.requests.sum()),
        decided=decision.action in fault.actions,
        named=fault.named_by(decision.reasons),
        reasons=tuple(f"{each.kind}: {each.text}" for each in decision.reasons),
    )


def main() -> None:
    """Check all windows and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shops", type=int, default=2, help="of 5,000 events a day")
    parser.add_argument("--large-shops", type=int, default=1, help="of 40,000 events a day")
    parser.add_argument("--tastes", type=int, default=8, help="shops of 5,000 events a day whose tastes turn; a quarter as many large ones")
    parser.add_argument("--step", type=int, default=1, help="of the weeks, take one in so many")
    parser.add_argument("--only", default="", help="what a fault's name begins with")
    parser.add_argument("--work", type=Path, help="folder that keeps the shops")
    parser.add_argument("--json", type=Path, help="file for the windows")
    options = parser.parse_args()
    console, dataset = Console(width=180), load_dataset(DATASET)
    kinds = [fault for fault in faults(dataset) if fault.name.startswith(options.only)]
    detections: list[Detection] = []
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        for shape, shops, tastes in ((STEADY, options.shops, options.tastes), (LARGE, options.large_shops, options.tastes // 4)):
            for seed in range(shops if kinds else 0):
                requests = shop(work / f"{shape.name} {seed}", shape, seed)
                detections += planted(requests, shape, kinds, dataset, step=options.step)
            if "another taste".startswith(options.only):
                for seed in range(tastes):
                    detections += turned(work, shape, seed, dataset)
            if options.json:
                options.json.write_text(json.dumps([asdict(each) for each in detections], indent=1))
    console.print(_table(detections))
    for fault in dict.fromkeys(each.fault for each in detections):
        missed = Counter(_kinds(each) for each in detections if each.fault == fault and not (each.named and each.decided))
        if missed:
            console.print(f"{fault}: {', '.join(f'{count} x {said}' for said, count in missed.most_common(4))}", style="dim")


def _kinds(detection: Detection) -> str:
    return "; ".join(": ".join(reason.split(": ")[:2]) for reason in detection.reasons[:3]) or "nothing"


def _table(detections: Sequence[Detection]) -> Table:
    """Show found and named windows, in percent, by fault and size, and from which size on enough are named."""
    sizes = sorted(
        {(each.shape, each.days) for each in detections},
        key=lambda size: np.mean([each.requests for each in detections if (each.shape, each.days) == size]),
    )
    heads = [
        f"{np.median([each.requests for each in detections if (each.shape, each.days) == (shape, days)]):,.0f} in {days} d"
        for shape, days in sizes
    ]
    table = Table(
        "fault", *heads, f"{ENOUGH:.0%} named from", title="Decided rightly / named, in percent of the windows, by requests", padding=(0, 0)
    )
    for fault in dict.fromkeys(each.fault for each in detections):
        cells, enough = [], ""
        for shape, days in sizes:
            some = [each for each in detections if (each.fault, each.shape, each.days) == (fault, shape, days)]
            named = float(np.mean([each.named for each in some])) if some else 0.0
            cells.append(f"{np.mean([each.decided for each in some]) * 100:.0f}/{named * 100:.0f}" if some else "")
            if named < ENOUGH:
                enough = ""
            elif not enough:
                enough = f"{np.median([each.requests for each in some]):,.0f}"
        table.add_row(fault, *cells, enough or "not")
    return table


if __name__ == "__main__":
    main()
