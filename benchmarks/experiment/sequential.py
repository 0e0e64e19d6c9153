"""Look at experiments again and again: `python -m benchmarks.experiment.sequential`.

Each run is an experiment of shoppers who arrive over its days and come back (geometrically distributed visits, one list
each), with a click rate of their own and heavy-tailed orders. After each day the difference of two metrics is tested over
all that was logged so far, with standard errors over shoppers: clicks per list, and revenue per shopper. The share of the
planned information is that of the planned lists.

Each rule for stopping is applied to the same runs, once without an effect (false positives) and once with the effect
that the fixed sample finds with a power of `POWER`.
"""

import argparse
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.stats import norm

from components.experiment.sequential.boundaries import critical_values, exit_probabilities
from components.experiment.sequential.confidence_sequence import anytime_critical_value

ALPHA, POWER = 0.05, 0.94
METRICS = ("clicks per list", "revenue per shopper")
FIXED, NAIVE, OBRIEN_FLEMING, POCOCK, ANYTIME = (
    "once, at the end",
    "1.96 at each look",
    "O'Brien-Fleming spending",
    "Pocock spending",
    "anytime",
)
LISTS = 5.0  # mean of a shopper
_PILOT = 400  # runs that find the size of the effect

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """Number of shoppers of a run, and of its looks."""

    shoppers: int
    looks: int

    def shares(self) -> Numbers:
        """Return the expected share of the lists at each look, [looks]: each shopper's visits are spread from their arrival on."""
        days = np.arange(1, self.looks + 1)
        arrival = np.arange(self.looks)
        left = self.looks - arrival
        later = np.clip(days[:, None] - arrival, 0, left) / left  # share of the visits after the first, (looks, arrivals)
        first = days / self.looks
        return np.asarray((first + (LISTS - 1) * later.mean(axis=1)) / LISTS)


def z_statistics(sample: Sample, uplift: float, rng: np.random.Generator) -> Numbers:
    """Simulate an experiment, and return z of each metric at each look, [2, looks]; 0 where an arm has no variance yet.

    Args:
        sample: of the experiment.
        uplift: relative effect on the probability of a click.
        rng: of everything random.
    """
    people, looks = sample.shoppers, sample.looks
    treated = rng.random(people) < 0.5
    arrival = rng.integers(looks, size=people)
    shopper = np.repeat(np.arange(people), rng.geometric(1 / LISTS, people))
    is_first = np.r_[True, shopper[1:] != shopper[:-1]]
    day = np.where(
        is_first, arrival[shopper], arrival[shopper] + np.floor(rng.random(len(shopper)) * (looks - arrival[shopper])).astype(np.int64)
    )
    click_rate = rng.beta(1, 7, people) * np.where(treated, 1 + uplift, 1.0)
    clicked = rng.random(len(shopper)) < click_rate[shopper]
    ordered = clicked & (rng.random(len(shopper)) < 0.3)
    budget = rng.lognormal(3.5, 0.7, people)
    order_value = np.where(ordered, budget[shopper] * rng.lognormal(0, 1, len(shopper)), 0.0)
    cell = shopper * looks + day

    def accumulated(values: Numbers) -> Numbers:
        return np.cumsum(np.bincount(cell, weights=values, minlength=people * looks).reshape(people, looks), axis=1)

    lists, clicks, revenue = (accumulated(values) for values in (np.ones(len(shopper)), clicked.astype(np.float64), order_value))
    arms = np.stack([~treated, treated]).astype(np.float64)  # (arms, shoppers)
    return np.stack([_z(arms, clicks, lists), _z(arms, revenue, (lists > 0).astype(np.float64))])


def _z(arms: Numbers, values: Numbers, weights: Numbers) -> Numbers:
    """Return z of the difference of two ratios of sums, [looks], by the delta method over shoppers; values are (shoppers, looks)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        total, weight = arms @ values, arms @ weights
        ratio = total / weight
        count = arms @ (weights > 0)
        squares = arms @ values**2 - 2 * ratio * (arms @ (values * weights)) + ratio**2 * (arms @ weights**2)
        variance = squares / weight**2 * count / (count - 1)
        z = (ratio[1] - ratio[0]) / np.sqrt(variance.sum(axis=0))
    return np.where(np.isfinite(z), z, 0.0)


def simulated(sample: Sample, uplift: float, *, runs: int, seed: int, label: str = "") -> Numbers:
    """Return z of all runs, [runs, 2, looks]."""
    seeds = np.random.SeedSequence(seed).spawn(runs)
    return np.stack(
        [z_statistics(sample, uplift, np.random.default_rng(each)) for each in track(seeds, label, transient=True, disable=not label)]
    )


def uplift_with_power(sample: Sample, metric: int, *, seed: int) -> float:
    """Return the relative effect on clicks that gives a metric's z at the end the mean that has `POWER` with one look."""
    wanted, uplift = norm.isf(ALPHA / 2) + norm.ppf(POWER), 0.3
    for attempt in range(3):
        uplift *= float(wanted / simulated(sample, uplift, runs=_PILOT, seed=seed + attempt)[:, metric, -1].mean())
    return uplift


def rules(shares: Numbers) -> Mapping[str, Numbers]:
    """Return the critical values of each rule, [looks]."""
    fixed = norm.isf(ALPHA / 2)
    return {
        FIXED: np.r_[np.full(len(shares) - 1, np.inf), fixed],
        NAIVE: np.full(len(shares), fixed),
        OBRIEN_FLEMING: critical_values(shares.tolist(), ALPHA),
        POCOCK: critical_values(shares.tolist(), ALPHA, spending="pocock"),
        ANYTIME: np.array([anytime_critical_value(share, ALPHA) for share in shares]),
    }


@dataclass(frozen=True)
class Row:
    """Row of the table.

    Attributes:
        metric: tested.
        rule: for stopping.
        false_positives: share of the runs without an effect that are rejected at any look.
        nominal: the same in theory, for normal z with independent increments.
        power: share of the runs with an effect that are rejected in its favour.
        nominal_power: the same in theory.
        lists: mean share of the planned lists until the stop, of the runs with an effect.
    """

    metric: str
    rule: str
    false_positives: float
    nominal: float
    power: float
    nominal_power: float
    lists: float


def measured(sample: Sample, *, runs: int, power_runs: int, seed: int) -> list[Row]:
    """Compute all rows."""
    shares = sample.shares()
    bounds = rules(shares)
    none = simulated(sample, 0.0, runs=runs, seed=seed, label="no effect")
    drift = norm.isf(ALPHA / 2) + norm.ppf(POWER)
    rows = []
    for index, metric in enumerate(METRICS):
        uplift = uplift_with_power(sample, index, seed=seed + 1_000)
        some = simulated(sample, uplift, runs=power_runs, seed=seed + 2_000 + index, label=metric)[:, index]
        for rule, critical in bounds.items():
            beyond = np.abs(some) >= critical
            stopped = beyond.any(axis=1)
            last = np.where(stopped, beyond.argmax(axis=1), len(shares) - 1)
            rows.append(
                Row(
                    metric=metric,
                    rule=rule,
                    false_positives=float((np.abs(none[:, index]) >= critical).any(axis=1).mean()),
                    nominal=exit_probabilities(shares.tolist(), critical.tolist()).total,
                    power=float(np.mean(stopped & (some[np.arange(len(some)), last] > 0))),
                    nominal_power=float(exit_probabilities(shares.tolist(), critical.tolist(), drift=drift).upper.sum()),
                    lists=float(shares[last].mean()),
                )
            )
    return rows


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=8_000, help="without an effect")
    parser.add_argument("--power-runs", type=int, default=2_000, help="with an effect, of each metric")
    parser.add_argument("--shoppers", type=int, default=2_000, help="of an experiment")
    parser.add_argument("--looks", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="file for the rows")
    args = parser.parse_args(arguments)
    rows = measured(Sample(args.shoppers, args.looks), runs=args.runs, power_runs=args.power_runs, seed=args.seed)
    error = 1.96 * math.sqrt(ALPHA * (1 - ALPHA) / args.runs)
    table = Table(
        "metric", "rule", "false positives", "in theory", "power", "in theory", "lists until the stop",
        title=f"{args.looks} looks, {args.runs:,} runs without an effect (5 % ± {error:.1%}), {args.power_runs:,} with one",
    )  # fmt: skip
    for row in rows:
        theory = (f"{row.nominal:.1%}", f"{row.power:.3f}", f"{row.nominal_power:.3f}", f"{row.lists:.0%}")
        table.add_row(row.metric, row.rule, f"{row.false_positives:.2%}", *theory)
    Console(width=140).print(table)
    if args.json:
        args.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
