"""Measure whether the return's 95 % interval holds the planted total of simulated programmes of ten experiments.

    python -m benchmarks.roi [--programmes 200 1000] [--experiments 10] [--correlation 1] [--seed 0] [--json FILE]

True effects on revenue per shopper are drawn from a distribution with light tails (normal), with heavy ones (Student's t with
3 degrees of freedom), or are 0 four times in five; standard errors are from 0.5 % to 2 % of the control's mean. What is
significantly better by revenue, two-sided at 5 %, is shipped on the day after its test, and counts until 60 days after the end of
the last one. Programmes in which nothing is shipped are drawn again. Of each, `shelfrank roi`'s own functions read the
reports and estimate the additional margin.

Columns: the mean true total in EUR, and beside it the bias of adding up what was measured, of positive-part James-Stein, and
of the figure that is reported; the share of programmes whose true total is in the interval that ignores selection, and in the one that is
reported, with those below and above it; its width over that of the interval that ignores selection.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.roi.programmes import DAYS, START, plant, reports_of
from components.experiment.roi.gains import Estimate, days_between, money_weights, shrink, total
from components.experiment.roi.price_file import PriceFile, parse_price_file
from components.experiment.roi.programme import MARGIN, build_programme

ERRORS = (0.005, 0.02)
SCENARIOS = (
    # prior, mean and standard deviation of the true effects
    ("light", 0.0, 0.01),
    ("light", 0.005, 0.005),
    ("light", 0.01, 0.02),
    ("heavy", 0.0, 0.01),
    ("heavy", 0.005, 0.01),
    ("heavy", 0.01, 0.02),
    ("rare", 0.0, 0.01),
    ("light", 0.0, 0.0),
)
_Z = 1.959964
_PRICES = """
currency: EUR
from: 2026-01-01
prices: {core_hour: 0.05, gb_month: 0.02, person_hour: 80}
people: {hours_once: 100, hours_a_month: 10}
serving: {replicas: 2, cores: 2}
"""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A programme: how many were shipped, their true total, what is estimated, and the standard error of the measured sum; in EUR."""

    shipped: int
    truth: float
    estimate: Estimate
    james_stein: float
    error: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """Figures of a scenario over its programmes; amounts in EUR."""

    prior: str
    mean: float
    spread: float
    programmes: int
    shipped: float
    truth: float
    naive_bias: float
    james_stein_bias: float
    bias: float
    naive_coverage: float
    coverage: float
    below: float
    above: float
    width: float


def price_file() -> PriceFile:
    """Return a price file of the simulated programmes."""
    return parse_price_file(_PRICES)


def measure(
    prior: str, mean: float, spread: float, *, programmes: int, experiments: int = 10, seed: int = 0, correlation: float = 1.0
) -> Row:
    """Return the figures of a scenario."""
    return summarize(
        prior,
        mean,
        spread,
        simulate(prior, mean, spread, programmes=programmes, experiments=experiments, seed=seed, correlation=correlation),
    )


def simulate(prior: str, mean: float, spread: float, *, programmes: int, experiments: int, seed: int, correlation: float) -> list[Outcome]:
    """Return what became of each programme; those of a smaller number are the first of a greater one."""
    rng = np.random.default_rng(seed)
    file = price_file()
    until = START + timedelta(days=DAYS * experiments + 60)
    outcomes = []
    for _ in track(range(programmes), f"{prior}, mean {mean:.1%}, spread {spread:.1%}", console=Console(stderr=True), transient=True):
        planted = plant(prior, rng, experiments, mean=mean, spread=spread, errors=ERRORS, correlation=correlation)
        programme = build_programme(reports_of(planted), file, until=until)
        weights = money_weights(programme.arms, MARGIN, file, days_between(file.start, until)).sum(1)
        effects = shrink(programme.arms, MARGIN)
        assert effects.james_stein is not None
        outcomes.append(
            Outcome(
                shipped=int(planted.shipped.sum()),
                truth=float(planted.truth @ weights),
                estimate=total(effects, weights),
                james_stein=float(effects.james_stein @ weights),
                error=float(np.sqrt((weights**2 * effects.std_errors**2).sum())),
            )
        )
    return outcomes


def summarize(prior: str, mean: float, spread: float, outcomes: Sequence[Outcome]) -> Row:
    """Average the outcomes of a scenario's programmes."""
    count = len(outcomes)
    below = sum(each.truth < each.estimate.lower for each in outcomes) / count
    above = sum(each.truth > each.estimate.upper for each in outcomes) / count
    return Row(
        prior=prior,
        mean=mean,
        spread=spread,
        programmes=count,
        shipped=sum(each.shipped for each in outcomes) / count,
        truth=sum(each.truth for each in outcomes) / count,
        naive_bias=sum(each.estimate.measured - each.truth for each in outcomes) / count,
        james_stein_bias=sum(each.james_stein - each.truth for each in outcomes) / count,
        bias=sum(each.estimate.shrunk - each.truth for each in outcomes) / count,
        naive_coverage=sum(abs(each.estimate.measured - each.truth) <= _Z * each.error for each in outcomes) / count,
        coverage=1 - below - above,
        below=below,
        above=above,
        width=sum(each.estimate.upper - each.estimate.lower for each in outcomes) / sum(2 * _Z * each.error for each in outcomes),
    )


def main() -> None:
    """Measure all scenarios and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programmes", type=int, nargs="+", default=[200, 1000], help="of each scenario (default: 200 and 1000)")
    parser.add_argument("--experiments", type=int, default=10, help="of each programme (default: 10; at least 6)")
    parser.add_argument("--correlation", type=float, default=1.0, help="of errors of margin with those of revenue (default: 1)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the rows there")
    args = parser.parse_args()
    outcomes = {
        scenario: simulate(
            *scenario, programmes=max(args.programmes), experiments=args.experiments, seed=args.seed, correlation=args.correlation
        )
        for scenario in SCENARIOS
    }
    rows = [summarize(*scenario, outcomes[scenario][:programmes]) for programmes in args.programmes for scenario in SCENARIOS]
    table = Table(title=f"Total of the shipped of {args.experiments} experiments, seed {args.seed}", title_justify="left")
    for name in (
        "true effects", "programmes", "shipped", "true total", "bias of the sum", "of James-Stein", "of the figure", "covered by the sum",
        "covered", "below", "above", "width",
    ):  # fmt: skip
        table.add_column(name, justify="left" if name == "true effects" else "right", no_wrap=name == "true effects")
    for row in rows:
        table.add_row(
            f"{row.prior}, {row.mean:.1%} ± {row.spread:.1%}", f"{row.programmes:,}", f"{row.shipped:.1f}", f"{row.truth:,.0f}",
            f"{row.naive_bias:+,.0f}", f"{row.james_stein_bias:+,.0f}", f"{row.bias:+,.0f}", f"{row.naive_coverage:.1%}",
            f"{row.coverage:.1%}", f"{row.below:.1%}", f"{row.above:.1%}", f"{row.width:.2f}",
        )  # fmt: skip
    Console(width=160).print(table)
    if args.json:
        args.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
