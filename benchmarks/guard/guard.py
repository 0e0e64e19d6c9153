"""Measure the guard's delay until it decides on a canary, and its error rates, on simulated streams with known rates.

    python -m benchmarks.guard [--runs 400] [--share 0.1] [--block 1000] [--looks 400] [--trials 1000] [--requests 20000] [--json FILE]

In each run blocks of requests go to canary and stable, and the guard tests after every block. Printed: the share of
runs that end in a rollback and in a promotion, and the canary's requests until then: median and 90th percentile of the
decided runs.

A second table (benchmarks/guard/returning.py) has trials of shoppers with ten requests on average, some of whom get
slow or failed responses far more often than others: how often an equally good canary is rolled back, how often one at a
limit is accepted as within it, both of which must be at most alpha, and how often worse ones are detected.
"""

import argparse
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.guard import returning
from serving.guard.counts import SCORE_BINS, VersionCounts
from serving.guard.e_process import Numbers
from serving.guard.sequential_test import GO_ON, PROMOTE, ROLL_BACK, Limits, SequentialTest, decisions


def tilted(by: float) -> NDArray[np.float64]:
    """Return a distribution of scores whose density rises by a factor exp(by) from 0 to 1."""
    weights = np.exp(by * np.linspace(0, 1, SCORE_BINS))
    return np.asarray(weights / weights.sum())


@dataclass(frozen=True)
class Version:
    """True rates of a version, and the distribution of its scores, ten for each request."""

    clicked: float = 0.1
    errors: float = 0.001
    slow: float = 0.02
    scores: NDArray[np.float64] = field(default_factory=lambda: tilted(-2.0))

    def block(self, rng: np.random.Generator, requests: int, runs: int) -> VersionCounts:
        """What a block of requests, of a shopper each, brings in each run."""
        errors, slow = (rng.binomial(requests, rate, runs).astype(np.float64) for rate in (self.errors, self.slow))
        total = np.full(runs, float(requests))
        scores = rng.multinomial(10 * requests, self.scores, runs).astype(np.float64)
        return VersionCounts(total, errors, slow, total, rng.binomial(requests, self.clicked, runs).astype(np.float64), scores)


@dataclass(frozen=True)
class Outcome:
    """Result by run: the decision, and the canary's requests until then (NaN where there was none)."""

    decision: NDArray[np.int8]
    requests: Numbers

    def share(self, decision: int) -> float:
        """Return the share of runs with this decision."""
        return float(np.mean(self.decision == decision))

    def took(self, quantile: float) -> float:
        """Return a quantile of the canary's requests in the decided runs."""
        return float(np.nanquantile(self.requests, quantile)) if np.isfinite(self.requests).any() else float("nan")


def compared(
    canary: Version, stable: Version, *, sizes: tuple[int, int], looks: int, runs: int, seed: int = 0, limits: Limits | None = None
) -> Outcome:
    """Simulate runs of blocks of `sizes` requests of canary and stable, testing after each, until all are decided."""
    limits = limits or Limits()
    rng = np.random.default_rng(seed)
    watch = SequentialTest.new((runs,))
    decision, requests = np.zeros(runs, np.int8), np.full(runs, np.nan)
    for _ in range(looks):
        of_canary, of_stable = canary.block(rng, sizes[0], runs), stable.block(rng, sizes[1], runs)
        watch = watch.add_block(of_canary, of_stable, limits).add_stretch_block(of_canary, of_stable)
        now = decisions(watch, limits)
        decided_now = (decision == GO_ON) & (now != GO_ON)
        decision, requests = np.where(decided_now, now, decision), np.where(decided_now, watch.canary.requests, requests)
        if np.all(decision != GO_ON):
            break
    return Outcome(decision, requests)


STABLE = Version()
CANARIES = {
    "as good as stable": STABLE,
    "click rate 5 % lower: the limit": replace(STABLE, clicked=0.095),
    "click rate 10 % lower": replace(STABLE, clicked=0.09),
    "click rate 20 % lower": replace(STABLE, clicked=0.08),
    "click rate halved": replace(STABLE, clicked=0.05),
    "errors 0.1 % to 1 %": replace(STABLE, errors=0.01),
    "errors 0.1 % to 10 %": replace(STABLE, errors=0.1),
    "slow answers 2 % to 4 %": replace(STABLE, slow=0.04),
    "scores shifted (PSI 0.4)": replace(STABLE, scores=tilted(0.2)),
    "click rate 5 % higher": replace(STABLE, clicked=0.105),
    "click rate 10 % higher": replace(STABLE, clicked=0.11),
    "click rate 20 % higher": replace(STABLE, clicked=0.12),
}


@dataclass(frozen=True)
class Row:
    """Row of the table."""

    canary: str
    rolled_back: float
    promoted: float
    median_requests: float
    p90_requests: float


def measured(*, runs: int, sizes: tuple[int, int], looks: int) -> list[Row]:
    """Compute all rows."""
    rows = []
    for name, canary in CANARIES.items():
        outcome = compared(canary, STABLE, sizes=sizes, looks=looks, runs=runs)
        rows.append(Row(name, outcome.share(ROLL_BACK), outcome.share(PROMOTE), outcome.took(0.5), outcome.took(0.9)))
    return rows


def main(arguments: list[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="The guard in simulated streams.")
    parser.add_argument("--runs", type=int, default=400, help="of each line")
    parser.add_argument("--share", type=float, default=0.1, help="of the requests, that goes to the canary")
    parser.add_argument("--block", type=int, default=1000, help="requests between two looks")
    parser.add_argument("--looks", type=int, default=400, help="at most")
    parser.add_argument("--trials", type=int, default=1000, help="of each line of the second table")
    parser.add_argument("--requests", type=int, default=20_000, help="of each of these trials")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(arguments)
    canary = round(args.block * args.share)
    rows = measured(runs=args.runs, sizes=(canary, args.block - canary), looks=args.looks)
    table = Table("canary", "rolled back", "promoted", "requests, median", "90 %")
    for row in rows:
        took = ("" if number != number else f"{number:,.0f}" for number in (row.median_requests, row.p90_requests))
        table.add_row(row.canary, f"{row.rolled_back:.1%}", f"{row.promoted:.1%}", *took)
    Console(width=120).print(table)
    again = returning.measured(runs=args.trials, requests=args.requests)
    table = Table("shoppers who come again", "test", "decided", "requests of the trial, median")
    for each in again:
        median = "" if each.median_requests != each.median_requests else f"{each.median_requests:,.0f}"
        table.add_row(each.canary, each.test, f"{each.share:.1%}", median)
    Console(width=120).print(table)
    if args.json:
        tables = {"one request each": [asdict(row) for row in rows], "returning": [asdict(row) for row in again]}
        args.json.write_text(json.dumps(tables, indent=2) + "\n")


if __name__ == "__main__":
    main()
