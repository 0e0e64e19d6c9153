"""Measure what `shelfrank experiment` promises: `python -m benchmarks.experiment rates|coverage|faults|speed`."""

import argparse
import sys
import tempfile
from pathlib import Path

import polars as pl

from benchmarks.experiment import faults, speed
from benchmarks.experiment.rates import PLANTED, Series, measure, others_text, table_text, true_effects
from benchmarks.experiment.shop import ShopConfig


def main() -> None:
    """Run the named measurement, and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("rates", "coverage", "faults", "speed"))
    parser.add_argument("--experiments", type=int, default=1000)
    parser.add_argument("--shoppers", type=int, default=4000, help="who could come; about three in five do")
    parser.add_argument("--lists", type=int, default=1_000_000, help="of the log whose reading is timed")
    parser.add_argument("--work", metavar="DIR", help="keeps results: a run that was stopped goes on (default: a temporary folder)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(args.work or temporary) / args.what
        folder.mkdir(parents=True, exist_ok=True)
        if args.what == "rates":
            _rates(folder, args.experiments, args.shoppers)
        elif args.what == "coverage":
            _coverage(folder, args.experiments, args.shoppers)
        elif args.what == "faults":
            print(faults.table_text(folder, shops=args.experiments, shoppers=2 * args.shoppers))
        else:
            print("| lists | GB of log | s | lists a second | greatest memory, MB |\n| --- | --- | --- | --- | --- |")
            print(speed.measure(folder, args.lists))


def _rates(folder: Path, experiments: int, shoppers: int) -> None:
    config = ShopConfig(shoppers=shoppers * 3 // 2, shares={"control": 1 / 3, "treatment": 1 / 3, "other": 1 / 3})
    tests = measure(Series(config=config, caps=(0.999,), experiments=experiments, folder=folder), _say)
    print(f"\n{experiments} A/A experiments with two treatments; 5 % of the tests of each metric should reject\n")
    print(table_text(tests, {}, covered=False))
    print(f"\n{others_text(tests)}")


def _coverage(folder: Path, experiments: int, shoppers: int) -> None:
    config = ShopConfig(shoppers=shoppers, effect=PLANTED)
    truth = true_effects(config, folder)
    tests = measure(Series(config=config, caps=(None, 0.999), experiments=experiments, folder=folder), _say)
    for capped in (False, True):
        print(f"\n{experiments} experiments with a planted effect, amounts {'capped at 99.9 %' if capped else 'as they are'}\n")
        print(table_text(tests.filter(pl.col("capped") == capped), truth, covered=True))


def _say(text: str) -> None:
    print(f"\r{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
