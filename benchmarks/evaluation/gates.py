"""Measure false refusals and power of the gates by a model's true change and the number of requests.

    python -m benchmarks.evaluation.gates [--requests 330 1000 3000 30000] [--draws 500] [--events 1500000] [--json FILE]

Evaluations of about each size are drawn from the population of benchmarks/evaluation/population.py, and the gates
applied to a challenger. Its AUC over the whole population is that of the champion, or lower by a known amount. `by
value` is a gate that compares the values alone, with 0.005 for both metrics; `refused` is the gates' result, with the
dataset file's default limits.

The second table is of slices: the requests are randomly assigned to 20 regions, and the challenger's AUC is lower by
exactly the limit of slices in each of them, so that each refusal is a false one. `each by itself` refuses where any one
slice's 95 % interval is below the limit. Of 30,000 requests a fifth of the evaluations are drawn.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.evaluation.population import LISTWISE, Drawn, Population, Scores
from components.contract.dataset import Gates
from components.evaluation.display_names import Slice
from components.evaluation.gates.gate_result import FAMILY_ALPHA, check_gates
from components.evaluation.metrics.metric_accumulator import RequestSums
from components.evaluation.metrics.standard_errors import estimates
from components.evaluation.results import CHALLENGER, CHAMPION, Comparison, SliceMetrics

FALLS = (0.0, 0.005, 0.01, 0.02, 0.04)
BY_VALUE = {"auc": 0.005, "ndcg_at_10": 0.005}
REGIONS = 20
MANY = 10_000


@dataclass(frozen=True)
class Row:
    """Result for a challenger over the whole window: true changes, shares refused, mean interval half width."""

    requests: int
    auc: float
    ndcg_at_10: float
    by_value: float
    refused: float
    auc_margin: float
    ndcg_margin: float


@dataclass(frozen=True)
class SlicesRow:
    """Result for slices: false refusals of a challenger that is at the limit in every slice."""

    requests: int
    judged: float  # slices, on average
    each_by_itself: float
    refused: float


def champion(population: Population) -> Scores:
    """Return the champion's scores."""
    return population.scores(1.2, seed=2)


def over_the_window(population: Population, *, requests: int, draws: int, falls: tuple[float, ...] = FALLS) -> list[Row]:
    """Return a row for each challenger."""
    models = {str(fall): population.worse_by(champion(population), fall, seed=10 + i) for i, fall in enumerate(falls)}
    models[CHAMPION] = champion(population)
    truth = population.truth(models)
    gates = Gates(slice_drop={})
    rows_by_challenger: dict[str, list[tuple[float, ...]]] = {str(fall): [] for fall in falls}
    for draw in range(draws):
        sums = {name: each.total() for name, each in population.summed(models, _drawn(population, requests, draw)).items()}
        values = estimates(sums, baseline=CHAMPION, listwise=LISTWISE)
        for name, rows in rows_by_challenger.items():
            both = Comparison((), values[name], values[CHAMPION])
            by_value = any(both.change(metric) < -limit for metric, limit in BY_VALUE.items())
            refused = not check_gates(_metrics({(): both}), gates, slices=[]).passed
            rows.append((by_value, refused, both.change_margin("auc"), both.change_margin("ndcg_at_10")))
    change = {name: [truth[name][metric] - truth[CHAMPION][metric] for metric in BY_VALUE] for name in rows_by_challenger}
    return [Row(requests, *change[name], *map(float, np.mean(rows, axis=0))) for name, rows in rows_by_challenger.items()]


def in_slices(population: Population, *, requests: int, draws: int) -> SlicesRow:
    """Return the slices' row for a number of requests."""
    gates = Gates(drop={})
    limit = gates.slice_drop["auc"]
    models: dict[str, Scores] = {CHALLENGER: population.worse_by(champion(population), limit, seed=5), CHAMPION: champion(population)}
    rows = []
    for draw in range(draws):
        drawn = _drawn(population, requests, draw)
        region = np.random.default_rng([6, draw]).integers(0, REGIONS, len(drawn.row_lengths))
        comparisons = _by_region(population.summed(models, drawn), region)
        large = [each for where, each in comparisons.items() if where and each.judged_shoppers >= gates.min_shoppers]
        alone = any(each.falls_by_chance("auc", limit=limit) <= FAMILY_ALPHA for each in large)
        rows.append((len(large), alone, not check_gates(_metrics(comparisons), gates, slices=[["region"]]).passed))
    return SlicesRow(requests, *map(float, np.mean(rows, axis=0)))


def _by_region(sums: Mapping[str, RequestSums], region: NDArray[np.int64]) -> dict[Slice, Comparison]:
    slices: dict[Slice, NDArray[np.intp]] = {(("region", f"{i:02d}"),): np.flatnonzero(region == i) for i in range(REGIONS)}
    slices[()] = np.arange(len(region))
    estimated = {
        where: estimates({name: each.total(rows) for name, each in sums.items()}, baseline=CHAMPION, listwise=LISTWISE)
        for where, rows in slices.items()
    }
    return {where: Comparison(where, values[CHALLENGER], values[CHAMPION]) for where, values in estimated.items()}


def _drawn(population: Population, requests: int, draw: int) -> Drawn:
    shoppers = round(requests * len(population.requests) / len(population.row_lengths))
    return population.drawn(shoppers, np.random.default_rng([7, requests, draw]))


def _metrics(comparisons: Mapping[Slice, Comparison]) -> list[SliceMetrics]:
    return [
        SliceMetrics(where, model, values)
        for where, each in comparisons.items()
        for model, values in ((CHALLENGER, each.challenger), (CHAMPION, each.champion))
    ]


def main(arguments: list[str] | None = None) -> None:
    """Measure and print the tables."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, nargs="+", default=[330, 1_000, 3_000, 30_000])
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--events", type=int, default=1_500_000, help="of the simulated shop")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(arguments)
    population = Population.of_shop(events=args.events)
    sizes = [(requests, args.draws if requests < MANY else -(-args.draws // 5)) for requests in args.requests]
    window = [row for requests, draws in sizes for row in over_the_window(population, requests=requests, draws=draws)]
    slices = [in_slices(population, requests=requests, draws=draws) for requests, draws in sizes if requests >= 1_000]
    table = Table("requests", "AUC truly", "NDCG@10 truly", "AUC ±", "NDCG@10 ±", "by value", "refused", title="Over the whole window")
    for row in window:
        numbers = (f"{row.auc:+.4f}", f"{row.ndcg_at_10:+.4f}", f"{row.auc_margin:.4f}", f"{row.ndcg_margin:.4f}")
        table.add_row(f"{row.requests:,}", *numbers, f"{row.by_value:.1%}", f"{row.refused:.1%}")
    Console(width=110).print(table)
    table = Table("requests", "slices judged", "each by itself", "refused", title=f"{REGIONS} slices, the challenger at the limit in all")
    for each in slices:
        table.add_row(f"{each.requests:,}", f"{each.judged:.1f}", f"{each.each_by_itself:.1%}", f"{each.refused:.1%}")
    Console(width=110).print(table)
    if args.json:
        args.json.write_text(json.dumps({"window": [asdict(r) for r in window], "slices": [asdict(r) for r in slices]}, indent=2) + "\n")


if __name__ == "__main__":
    main()
