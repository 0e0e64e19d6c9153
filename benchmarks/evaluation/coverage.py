"""Measure the coverage of 95 % intervals of a model's metrics, and of a model change, by the number of shoppers.

    python -m benchmarks.evaluation.coverage [--shoppers 20 67 300 3000] [--draws 1000] [--events 1500000] [--json FILE]

Evaluations of each size are drawn from the population of benchmarks/evaluation/population.py, whose metrics are
the truth. `normal` is value +- 1.96 standard errors; `corrected`, with quantiles of t, is the report's
(`components.evaluation.metrics.intervals`). Of 3,000 shoppers 300 evaluations are drawn at most: a coverage of 95 % is
then known to +- 2.5 %, from 1,000 draws to +- 1.4 %.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.evaluation.population import LISTWISE, Population, Scores
from benchmarks.quality.split_data import CONFIDENCE_95
from components.evaluation.display_names import metric_caption
from components.evaluation.metrics.standard_errors import change_error_of, error_of, estimates
from components.evaluation.results import CHALLENGER, CHAMPION, Comparison, margin

METRICS = ("auc", "pr_auc", "ndcg_at_10", "precision_at_5")
MANY, FEWER_DRAWS = 1_000, 300


@dataclass(frozen=True)
class Coverage:
    """Share of draws in which an interval contained the truth."""

    shoppers: int
    metric: str
    target: str  # value, change
    normal: float
    corrected: float


def coverage(population: Population, *, shoppers: int, draws: int, seed: int = 0) -> list[Coverage]:
    """Estimate the coverage for each metric of evaluations with `shoppers` shoppers."""
    models: dict[str, Scores] = {CHALLENGER: population.scores(1.0, seed=1), CHAMPION: population.scores(1.5, seed=2)}
    truth = population.truth(models)
    held = {(metric, target): np.zeros((draws, 2), np.bool_) for metric in METRICS for target in ("value", "change")}
    for draw in range(draws):
        drawn = population.drawn(shoppers, np.random.default_rng([seed, shoppers, draw]))
        sums = {name: each.total() for name, each in population.summed(models, drawn).items()}
        values = estimates(sums, baseline=CHAMPION, listwise=LISTWISE)
        both = Comparison((), values[CHALLENGER], values[CHAMPION])
        for metric in METRICS:
            off = both.challenger[metric] - truth[CHALLENGER][metric]
            normal = CONFIDENCE_95 * both.challenger[error_of(metric)]
            held[metric, "value"][draw] = abs(off) <= normal, abs(off) <= margin(both.challenger, metric)
            off = both.change(metric) - (truth[CHALLENGER][metric] - truth[CHAMPION][metric])
            normal = CONFIDENCE_95 * both.challenger[change_error_of(metric)]
            held[metric, "change"][draw] = abs(off) <= normal, abs(off) <= both.change_margin(metric)
    return [Coverage(shoppers, metric, target, *map(float, each.mean(axis=0))) for (metric, target), each in held.items()]


def main(arguments: list[str] | None = None) -> None:
    """Measure and print the table."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shoppers", type=int, nargs="+", default=[20, 67, 300, 3000])
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--events", type=int, default=1_500_000, help="of the simulated shop")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(arguments)
    population = Population.of_shop(events=args.events)
    rows = []
    for shoppers in args.shoppers:
        draws = args.draws if shoppers <= MANY else min(args.draws, FEWER_DRAWS)
        rows += coverage(population, shoppers=shoppers, draws=draws)
    table = Table(title=f"Intervals that hold the truth; {len(population.requests):,} shoppers, {len(population.row_lengths):,} requests")
    for column in ("shoppers", "metric", "of", "normal", "corrected"):
        table.add_column(column, justify="left" if column in ("metric", "of") else "right")
    for row in rows:
        table.add_row(f"{row.shoppers:,}", metric_caption(row.metric), row.target, f"{row.normal:.1%}", f"{row.corrected:.1%}")
    Console(width=100).print(table)
    if args.json:
        args.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
