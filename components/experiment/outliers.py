"""Cap the amounts of few shoppers, so that one order doesn't decide an experiment."""

from dataclasses import dataclass

import polars as pl

from components.experiment.metrics import AMOUNTS


@dataclass(frozen=True)
class Capped:
    """The table with capped amounts, and a sentence that states the policy and what it changed."""

    table: pl.DataFrame
    policy: str


def cap_amounts(table: pl.DataFrame, quantile: float | None) -> Capped:
    """Set a shopper's amounts beyond a quantile over all arms to it (winsorizing); negative ones below 1 - quantile too.

    The quantile is over shoppers of all arms that have the amount at all, so it is the same for each arm; `pre_` amounts have their own.
    """
    if quantile is None:
        return Capped(table, "Amounts are as they are.")
    columns, changed = [], {}
    for name in (*AMOUNTS, *(f"pre_{name}" for name in AMOUNTS)):
        bounds = table.filter(pl.col(name) != 0).select(
            pl.col(name).quantile(1 - quantile, "linear").alias("low"), pl.col(name).quantile(quantile, "linear").alias("high")
        )
        low, high = bounds.row(0)
        if low is None:
            continue
        low = min(low, 0.0)  # nothing that is small and positive is an outlier
        columns.append(pl.col(name).clip(low, max(high, 0.0)))
        changed[name] = (table.select(((pl.col(name) < low) | (pl.col(name) > max(high, 0.0))).sum()).item(), high)
    texts = [f"{name} of {number:,} at {high:,.2f}" for name, (number, high) in changed.items() if name in AMOUNTS]
    policy = (
        f"Amounts of a shopper over the whole experiment are capped at their {100 * quantile:g} % quantile over the shoppers of all arms"
        f" who have any: {', '.join(texts) or 'there were none'}."
    )
    return Capped(table.with_columns(columns), policy)
