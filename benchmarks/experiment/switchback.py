"""Simulate switchback experiments: `python -m benchmarks.experiment.switchback`.

A slot's click rate has a daily season, a disturbance that lasts (autoregressive), the effect of its arm and what the arm
of the slot before has left over. Lists are Poisson, with a season too. The table has, for each planted truth, the mean
estimates, how often their 95 % intervals hold the truth, and how often each is proven to differ from 0.
"""

import argparse
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from components.experiment.designs.switchback import Coefficient, Slots, analyse_switchback

TRUTHS = ((0.0, 0.0), (0.008, 0.0), (0.008, 0.006))  # effect and carry-over on a click rate of 0.2
RATE = 0.2


def drawn_slots(effect: float, carry_over: float, *, slots: int, rng: np.random.Generator) -> Slots:
    """Draw a switchback of hourly slots."""
    season = np.sin(2 * np.pi * np.arange(slots) / 24)
    treated = rng.random(slots) < 0.5
    before = np.r_[rng.random() < 0.5, treated[:-1]]
    shocks = rng.normal(0, 0.006, slots)
    disturbance = np.zeros(slots)
    for slot in range(1, slots):
        disturbance[slot] = 0.6 * disturbance[slot - 1] + shocks[slot]
    rate = RATE + 0.01 * season + disturbance + effect * treated + carry_over * before
    lists = rng.poisson(1_500 * (1 + 0.5 * season)) + 1
    return Slots(np.arange(slots), treated, rng.binomial(lists, np.clip(rate, 0, 1)).astype(np.float64), lists.astype(np.float64))


@dataclass(frozen=True)
class Row:
    """Row of the table: of one coefficient its truth, mean estimate, coverage of the intervals, and share proven."""

    truth: float
    mean: float
    covered: float
    proven: float


def measured(effect: float, carry_over: float, *, slots: int, runs: int, seed: int) -> dict[str, Row]:
    """Compute the rows of one planted truth, by coefficient."""
    rng = np.random.default_rng(seed)
    results = [analyse_switchback(drawn_slots(effect, carry_over, slots=slots, rng=rng)) for _ in range(runs)]
    coefficients: dict[str, tuple[float, list[Coefficient]]] = {
        "effect": (effect, [each.effect for each in results]),
        "carry-over": (carry_over, [each.carry_over for each in results]),
        "lasting": (effect + carry_over, [each.lasting for each in results]),
    }
    return {
        name: Row(
            truth=truth,
            mean=float(np.mean([each.value for each in estimates])),
            covered=float(np.mean([each.lower <= truth <= each.upper for each in estimates])),
            proven=float(np.mean([each.p < 0.05 for each in estimates])),
        )
        for name, (truth, estimates) in coefficients.items()
    }


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=4_000)
    parser.add_argument("--slots", type=int, default=14 * 24, help="hours of an experiment")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(arguments)
    title = f"{args.runs:,} switchbacks of {args.slots} slots, clicks per list of {RATE}"
    table = Table("coefficient", "truth", "mean estimate", "95 % intervals hold it", "proven", title=title)
    for effect, carry_over in TRUTHS:
        for name, row in measured(effect, carry_over, slots=args.slots, runs=args.runs, seed=args.seed).items():
            table.add_row(
                name, f"{row.truth:+.4f}", f"{row.mean:+.4f}", f"{row.covered:.1%}", f"{row.proven:.1%}", end_section=name == "lasting"
            )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
