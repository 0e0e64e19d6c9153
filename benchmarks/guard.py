"""How soon the guard sees that a canary is bad or good, and how often it is wrong, in simulated streams with known rates.

    python -m benchmarks.guard [--runs 400] [--share 0.1] [--block 1000] [--looks 400] [--json FILE]

In each run blocks of requests go to canary and stable, and the guard looks after every block. Told: the share of runs that end in a roll
back and in a promotion, and the requests of the canary that it took: median and 90th percentile of the runs that were decided.

Two rows at the end break what the guard assumes, that requests are independent: shoppers with rates of their own (standard deviation of
the click rate 0.1) come ten times each to the same version. `by request` counts each of their requests, `first of each` one a shopper.
"""

import argparse
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from serving.guard.betting import Numbers
from serving.guard.tally import SCORE_BINS, Tally
from serving.guard.watch import GO_ON, PROMOTE, ROLL_BACK, Limits, Watch, decided

VISITS = 10


def tilted(by: float) -> NDArray[np.float64]:
    """A distribution of scores whose density rises by a factor exp(by) from 0 to 1."""
    weights = np.exp(by * np.linspace(0, 1, SCORE_BINS))
    return np.asarray(weights / weights.sum())


@dataclass(frozen=True)
class Version:
    """The true rates of a version, and the distribution of its scores, of which each request brings ten.

    `spread` is the standard deviation of the click rate over shoppers, who come in groups of `visits` requests; of these, one in
    `counted_every` is counted.
    """

    clicked: float = 0.1
    errors: float = 0.001
    slow: float = 0.02
    scores: NDArray[np.float64] = field(default_factory=lambda: tilted(-2.0))
    spread: float = 0.0
    counted_every: int = 1

    def block(self, rng: np.random.Generator, requests: int, runs: int) -> Tally:
        """What a block of requests brings in each run."""
        errors, slow = (rng.binomial(requests, rate, runs).astype(np.float64) for rate in (self.errors, self.slow))
        total = np.full(runs, float(requests))
        scores = rng.multinomial(10 * requests, self.scores, runs).astype(np.float64)
        settled = requests // self.counted_every
        return Tally(total, errors, slow, np.full(runs, float(settled)), self._clicks(rng, settled, runs), scores)

    def _clicks(self, rng: np.random.Generator, settled: int, runs: int) -> Numbers:
        if not self.spread:
            return np.asarray(rng.binomial(settled, self.clicked, runs), np.float64)
        weight = self.clicked * (1 - self.clicked) / self.spread**2 - 1
        visits = VISITS // self.counted_every
        rates = rng.beta(weight * self.clicked, weight * (1 - self.clicked), (runs, settled // visits))
        return np.asarray(rng.binomial(visits, rates).sum(axis=1), np.float64)


@dataclass(frozen=True)
class Outcome:
    """By run: the decision, and how many requests of the canary it took (NaN where there was none)."""

    decision: NDArray[np.int8]
    requests: Numbers

    def share(self, decision: int) -> float:
        """The share of runs with this decision."""
        return float(np.mean(self.decision == decision))

    def took(self, quantile: float) -> float:
        """Requests of the canary that the decided runs took."""
        return float(np.nanquantile(self.requests, quantile)) if np.isfinite(self.requests).any() else float("nan")


def compared(
    canary: Version, stable: Version, *, sizes: tuple[int, int], looks: int, runs: int, seed: int = 0, limits: Limits | None = None
) -> Outcome:
    """Runs of blocks of `sizes` requests of the canary and of stable, with a look after each, until all runs are decided."""
    limits = limits or Limits()
    rng = np.random.default_rng(seed)
    watch = Watch.new((runs,))
    decision, requests = np.zeros(runs, np.int8), np.full(runs, np.nan)
    for _ in range(looks):
        of_canary, of_stable = canary.block(rng, sizes[0], runs), stable.block(rng, sizes[1], runs)
        watch = watch.then(of_canary, of_stable, limits).then_again(of_canary, of_stable)
        now = decided(watch, limits)
        fresh = (decision == GO_ON) & (now != GO_ON)
        decision, requests = np.where(fresh, now, decision), np.where(fresh, watch.canary.requests, requests)
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
SHOPPERS = {
    "as good, shoppers differ: by request": replace(STABLE, spread=0.1),
    "as good, shoppers differ: first of each": replace(STABLE, spread=0.1, counted_every=VISITS),
}


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    canary: str
    rolled_back: float
    promoted: float
    median_requests: float
    p90_requests: float


def measured(*, runs: int, sizes: tuple[int, int], looks: int) -> list[Row]:
    """All lines."""
    rows = []
    for name, canary in (CANARIES | SHOPPERS).items():
        stable = canary if name in SHOPPERS else STABLE
        found = compared(canary, stable, sizes=sizes, looks=looks, runs=runs)
        rows.append(Row(name, found.share(ROLL_BACK), found.share(PROMOTE), found.took(0.5), found.took(0.9)))
    return rows


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="The guard in simulated streams.")
    parser.add_argument("--runs", type=int, default=400, help="of each line")
    parser.add_argument("--share", type=float, default=0.1, help="of the requests, that goes to the canary")
    parser.add_argument("--block", type=int, default=1000, help="requests between two looks")
    parser.add_argument("--looks", type=int, default=400, help="at most")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    canary = round(given.block * given.share)
    rows = measured(runs=given.runs, sizes=(canary, given.block - canary), looks=given.looks)
    table = Table("canary", "rolled back", "promoted", "requests, median", "90 %")
    for row in rows:
        took = ("" if number != number else f"{number:,.0f}" for number in (row.median_requests, row.p90_requests))
        table.add_row(row.canary, f"{row.rolled_back:.1%}", f"{row.promoted:.1%}", *took)
    Console(width=120).print(table)
    if given.json:
        given.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
