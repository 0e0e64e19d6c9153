"""Measure how surely a change of scale in one of many columns is detected, with rows that depend on their shopper.

    python -m benchmarks.drift.scaled_column [--runs 200]

20 columns of 20,000 rows of 2,000 shoppers, of which one is scaled by 1.05, against as many rows and ten times as many.
"""

import argparse
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from components.drift.comparison.compare import compare_columns, p_values, significant
from components.drift.sketch.window_sketch import ColumnValues, RequestBlock, WindowSketch

COLUMNS = 20
ROWS = 20_000
ROWS_PER_SHOPPER = 10
FACTOR = 1.05
DAYS = 7
_DAY_US = 86_400_000_000

KINDS = ("lognormal, sigma 1", "lognormal, sigma 0.5", "gamma, shape 2", "uniform", "normal, mean 0")


@dataclass(frozen=True)
class Power:
    """Of a kind of column: the share of runs in which the scaled one is detected, and in which any other is."""

    column: str
    reference_rows: int
    detected: float
    false_alarms: float


def power(runs: int, *, seed: int = 0) -> list[Power]:
    """Run each kind of column against a reference of as many rows, and of ten times as many."""
    return [_power(kind, rows, runs, np.random.default_rng(seed)) for kind in KINDS for rows in (ROWS, 10 * ROWS)]


def _power(kind: str, reference_rows: int, runs: int, rng: np.random.Generator) -> Power:
    detected = others = 0
    for _ in range(runs):
        reference = _sketch(kind, reference_rows, rng, days=DAYS, first_day=0, factor=1.0)
        window = _sketch(kind, ROWS, rng, days=1, first_day=DAYS, factor=FACTOR)
        alarms = significant(p_values(compare_columns(reference, window)), false_discovery_rate=0.05)
        detected += ("column", "c0", "distribution") in alarms
        others += any(name != "c0" for _, name, *_ in alarms)
    return Power(kind, reference_rows, detected / runs, others / runs)


def _sketch(kind: str, rows: int, rng: np.random.Generator, *, days: int, first_day: int, factor: float) -> WindowSketch:
    """Draw rows of shoppers; the first column is multiplied by `factor`. A tenth of the variance is the shopper's."""
    shoppers = rng.integers(0, 2**63, rows // ROWS_PER_SHOPPER).astype(np.uint64)
    owner = rng.integers(0, len(shoppers), rows)
    sketch = WindowSketch()
    columns = []
    for i in range(COLUMNS):
        normal = np.sqrt(0.1) * rng.normal(size=len(shoppers))[owner] + np.sqrt(0.9) * rng.normal(size=rows)
        values = _values(kind, normal, rng) * (factor if i == 0 else 1.0)
        columns.append(ColumnValues(f"c{i}", values.astype(np.float32), np.arange(rows)))
    times_us = (first_day + rng.integers(0, days, rows)) * _DAY_US + rng.integers(0, _DAY_US, rows)
    sketch.add(RequestBlock(shoppers[owner], times_us, columns))
    return sketch


def _values(kind: str, normal: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    from scipy import stats

    share = stats.norm.cdf(normal)
    match kind:
        case "lognormal, sigma 1":
            values = np.exp(normal)
        case "lognormal, sigma 0.5":
            values = np.exp(normal / 2)
        case "gamma, shape 2":
            values = stats.gamma.ppf(share, 2)
        case "uniform":
            values = share
        case _:
            values = normal
    return np.asarray(values, np.float64)


def main() -> None:
    """Run all kinds of columns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    table = Table("column", "reference rows", "found", "false alarms elsewhere", title="One of 20 columns scaled by 1.05, 20,000 rows")
    for each in power(parser.parse_args().runs):
        table.add_row(each.column, f"{each.reference_rows:,}", f"{each.detected:.1%}", f"{each.false_alarms:.1%}")
    Console().print(table)


if __name__ == "__main__":
    main()
