"""Compare three policies of retraining over a simulated quarter: true ranking quality and processor time by day.

    python -m benchmarks.quarter [--days 90] [--requests 500] [--seed 1] [--seeds 1] [--work DIR] [--json FILE] [--html FILE]

A simulated shop of examples/simulated_shop.yaml, in which products come and leave every day and weekends are busier.
After a third of the quarter every shopper's taste turns by 90 degrees; after two thirds the price feed is down for some
days: every price that is logged and sent is 0, while shoppers see the right ones.

    never      the release of the day before the quarter
    nightly    training in full on the last 28 days, every night, and its model serves whatever it is
    ours       `shelfrank drift` after each day; `shelfrank retrain --every 5d --warm --drift` with its gates, its freeze
               and its releases; a person lifts a freeze a day after it began

Quality is the clicks to expect of the lists in the order of the model that serves, by the simulator's probabilities, as
a share of those of the best order; all requests count. All policies see one log, that of the shop's own order. Of a
training window the day before the last chooses the epoch, the last one judges (ours alone is judged). Seconds are the
processor's, of Transform, training, evaluation, sketches and checks in one process, so without imports, and of ingestion
28 days' share of one ingestion of the whole log. Days that --work holds aren't simulated again.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from rich.console import Console

from benchmarks.quarter.page import render
from benchmarks.quarter.policies import scores_of
from benchmarks.quarter.quality import Served, expected_clicks
from benchmarks.quarter.result import POLICIES, Day, Days, document, rows, table
from benchmarks.quarter.shop import Quarter, make_shop
from benchmarks.quarter.simulate import simulate


def read_days(quarter: Quarter, work: Path) -> Days:
    """Read the days of all policies."""
    shop = make_shop(quarter, work / "shop", "")
    truths = [shop.truth(day) for day in range(quarter.days)]
    best = [expected_clicks(truth, truth.relevance) for truth in truths]
    days: dict[str, list[Day]] = {}
    for policy in POLICIES:
        for day, truth in enumerate(truths):
            record = json.loads((work / policy / f"{day:03d}.json").read_text(encoding="utf-8"))
            served = Served(expected_clicks(truth, scores_of(work / policy, day)), best[day], truth.users)
            days.setdefault(policy, []).append(Day(served=served, **record))
    return days


def main() -> None:
    """Simulate, print the table and write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=Quarter.days)
    parser.add_argument("--requests", type=int, default=Quarter.requests, help="of a day, about")
    parser.add_argument("--seed", type=int, default=Quarter.seed, help="of the first shop")
    parser.add_argument("--seeds", type=int, default=1, help="how many shops")
    parser.add_argument("--policies", nargs="+", choices=POLICIES, help="simulate these alone, into --work, and print nothing")
    parser.add_argument("--work", type=Path, help="folder that keeps the shops and the days (default: a temporary one)")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--html", type=Path, help="write the page here")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="quarter_") as temporary:
        work = args.work or Path(temporary)
        quarters = [Quarter(days=args.days, requests=args.requests, seed=args.seed + at) for at in range(args.seeds)]
        for quarter in quarters:
            for name in args.policies or POLICIES:
                simulate(quarter, work / f"{quarter.seed}", name)
        if args.policies:
            return
        seeds = [read_days(quarter, work / f"{quarter.seed}") for quarter in quarters]
        made = rows(quarters[0], seeds)
        Console(width=130).print(table(quarters[0], made))
        if args.json:
            args.json.write_text(json.dumps(document(quarters[0], made, seeds), indent=1), encoding="utf-8")
        if args.html:
            args.html.write_text(render(quarters[0], made, seeds), encoding="utf-8")


if __name__ == "__main__":
    main()
