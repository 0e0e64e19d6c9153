"""Count false decisions of the drift check in windows of shops in which nothing has changed.

    python -m benchmarks.drift.clean [--shops 3] [--joint] [--work DIR] [--json FILE]

Shops of each shape (benchmarks/drift/shapes.py), of other seeds, are simulated with season, new products each day and
shoppers who return, and ingested by examples/simulated_shop.yaml; scores are those of trees trained on the first
fourteen days, which are left out. A release is made every week from three weeks. The week after it is checked day by
day, three days at a time, and as a whole: windows of one length don't overlap. With --joint it is checked each day as
`shelfrank drift` does, in all horizons together. A false decision is any but `nothing`; at most 5 % may be. Intervals are
Clopper and Pearson's, as if windows were independent.
"""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from scipy import stats

from benchmarks.drift.shapes import GROWING, LARGE, LOYAL, STEADY, shop
from benchmarks.drift.shops import Requests
from benchmarks.ingest.ingest import DATASET
from components.contract.dataset import Dataset
from components.contract.load import load_dataset
from components.drift.check import Window, check
from components.drift.decision import Action
from components.drift.horizons import nested, starts
from components.drift.report.build_report import Subject, build_joint_report

REFERENCE_DAYS = 21
RELEASE_DAYS = 7
SHAPES = (STEADY, LOYAL, GROWING, LARGE)
_HOUR_US = 3_600_000_000
_SIZES = (300, 600, 1_500, 5_000, 1_000_000)


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A clean window, what was decided on it and why, and the tests that were significant."""

    shape: str
    seed: int
    days: int
    start_hour: int
    requests: int
    enough: bool
    action: str
    reasons: tuple[str, ...]
    alarms: tuple[str, ...]


def releases(requests: Requests) -> Iterator[tuple[Window, int]]:
    """Yield the reference of each week's release, and the hour since 1970 at which it ends."""
    first, end = (int(each // _HOUR_US) // 24 * 24 for each in (requests.block.times_us.min(), requests.block.times_us.max() + _HOUR_US))
    for start in range(first + REFERENCE_DAYS * 24, end - RELEASE_DAYS * 24 + 1, RELEASE_DAYS * 24):
        yield requests.between(start - REFERENCE_DAYS * 24, start).window(), start


def checked(requests: Requests, dataset: Dataset, *, shape: str, seed: int) -> Iterator[Checked]:
    """Check all windows of a shop."""
    for reference, start in releases(requests):
        for days in (1, 3, 7):
            for begin in range(start, start + (RELEASE_DAYS - days) * 24 + 1, days * 24):
                window = requests.between(begin, begin + days * 24).window()
                result = check(reference, window, dataset)
                yield Checked(
                    shape=shape,
                    seed=seed,
                    days=days,
                    start_hour=begin,
                    requests=int(window.sketch.requests.sum()),
                    enough=result.enough,
                    action=result.decision.action,
                    reasons=tuple(f"{each.kind}: {each.text}" for each in result.decision.reasons),
                    alarms=tuple(sorted(" ".join(test) for test in result.alarms)),
                )


def checked_jointly(requests: Requests, dataset: Dataset, *, shape: str, seed: int) -> Iterator[Checked]:
    """Check a shop each day of the week after each release, in all horizons together."""
    for reference, start in releases(requests):
        for days in range(1, RELEASE_DAYS + 1):
            end = start + days * 24
            begins = starts(dataset.drift.horizons, since_us=start * _HOUR_US, end_us=end * _HOUR_US)
            edges = [*(each // _HOUR_US for each in begins), end]
            parts = [requests.between(*between).window() for between in pairwise(edges)]
            subjects = [Subject(release="", reference=reference, window=window) for _, window in nested(Window(), parts)]
            report = build_joint_report(subjects, dataset, now_s=0.0)
            yield Checked(
                shape=shape,
                seed=seed,
                days=days,
                start_hour=start,
                requests=report.windows[-1].requests,
                enough=any(each.enough for each in report.windows),
                action=report.decision.action,
                reasons=tuple(f"{each.kind}: {each.text}" for each in report.decision.reasons),
                alarms=(),
            )


def main() -> None:
    """Check all shops and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shops", type=int, default=3, help="of each shape")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--joint", action="store_true", help="check each day in all horizons together")
    parser.add_argument("--work", type=Path, help="folder that keeps the shops")
    parser.add_argument("--json", type=Path, help="file for the windows")
    options = parser.parse_args()
    console, dataset = Console(width=160), load_dataset(DATASET)
    windows: list[Checked] = []
    with tempfile.TemporaryDirectory() as temporary:
        for seed in range(options.first_seed, options.first_seed + options.shops):
            for shape in SHAPES:
                requests = shop((options.work or Path(temporary)) / f"{shape.name} {seed}", shape, seed)
                of_shop = list((checked_jointly if options.joint else checked)(requests, dataset, shape=shape.name, seed=seed))
                windows += of_shop
                false = [each for each in of_shop if each.action != Action.NOTHING]
                console.print(f"{shape.name}, seed {seed}: {len(of_shop)} windows, {len(false)} decided on")
                for each in false:
                    console.print(f"  {each.requests:,} requests in {each.days} d: {each.action}: {'; '.join(each.reasons)}", style="dim")
                if options.json:
                    options.json.write_text(json.dumps([asdict(each) for each in windows], indent=1))
    judged = [each for each in windows if each.enough]
    console.print(f"{len(windows) - len(judged)} windows were too small to be judged")
    console.print(_table("shape", judged, lambda each: each.shape))
    console.print(_table("days", judged, lambda each: each.days))
    console.print(_table("requests less than", judged, lambda each: next(size for size in _SIZES[1:] if each.requests < size)))
    if not options.joint:
        console.print(_alarms(judged))


def _table(name: str, windows: Sequence[Checked], key: Callable[[Checked], Any]) -> Table:
    table = Table(name, "windows", *Action, "false", "95 % interval", title=f"Decisions on clean windows, by {name}")
    for value in [*sorted({key(each) for each in windows}), None]:
        some = [each for each in windows if value is None or key(each) == value]
        actions = Counter(each.action for each in some)
        false = len(some) - actions[Action.NOTHING]
        interval = stats.binomtest(false, len(some)).proportion_ci(method="exact")
        counts = [f"{actions[action]}" for action in Action]
        text = "all" if value is None else f"{value:,}" if isinstance(value, int) else value
        table.add_row(text, f"{len(some):,}", *counts, f"{false / len(some):.1%}", f"{interval.low:.1%} to {interval.high:.1%}")
    return table


def _alarms(windows: Sequence[Checked]) -> Table:
    """Count the windows with each significant test, whether or not it was large enough to decide."""
    counts = Counter(alarm for each in windows for alarm in each.alarms)
    table = Table("significant", "windows", "share", title=f"Tests; any in {sum(bool(each.alarms) for each in windows):,} windows")
    for alarm, count in counts.most_common(15):
        table.add_row(alarm, f"{count}", f"{count / len(windows):.1%}")
    return table


if __name__ == "__main__":
    main()
