"""Follow an effect by days since a shopper's first exposure: what is new wears off, what must be learned grows."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import norm

from components.experiment.comparison import digits
from components.experiment.report_schema import DayEffect, NoveltyTrend

Floats = NDArray[np.float64]
MIN_SHOPPERS = 100
"""Of each arm, that a day must have."""
COLUMNS = {"clicks": "clicks_per_shopper_day", "revenue": "revenue_per_shopper_day"}


@dataclass(frozen=True)
class _Arm:
    """Means [K] and standard errors [K] by day, shoppers [K], and each shopper's contribution to a weighted sum of the means."""

    means: Floats
    errors: Floats
    shoppers: NDArray[np.int64]
    day: NDArray[np.int64]
    row: NDArray[np.int64]
    values: Floats
    eligible: NDArray[np.int64]

    def variance(self, weights: Floats) -> float:
        """Return the variance of sum_k weights_k mean_k, over shoppers: their days are not independent."""
        share = weights / self.shoppers
        # A shopper adds share_k (y_k - mean_k) for each of its days; days without a row have y = 0.
        expected = np.concatenate([[0.0], np.cumsum(share * self.means)])
        influence = -expected[np.minimum(self.eligible, len(weights))]
        np.add.at(influence, self.row, np.where(self.day < len(weights), share[np.minimum(self.day, len(weights) - 1)] * self.values, 0.0))
        return float(np.sum(influence**2))


def novelty(
    days: pl.DataFrame, people: pl.DataFrame, column: str, *, arms: tuple[str, ...], control: str, last_day: int
) -> tuple[list[DayEffect], list[NoveltyTrend]]:
    """Return the effect by day since the first exposure, and its slope by least squares, weighted by shoppers.

    A day counts for shoppers who could be followed through it; so an effect compares the same cohorts in both arms.

    Args:
        days: user, day and the column; days without anything may be missing.
        people: user, arm, first_day.
        column: "clicks" or "revenue".
        arms: names, by index.
        control: name of the control.
        last_day: of the log's window, since 1970.
    """
    sides = {name: _arm(days, people.filter(pl.col("arm") == index), column, last_day) for index, name in enumerate(arms)}
    base = sides[control]
    effects, trends = [], []
    for name, side in sides.items():
        if name == control:
            continue
        number = int(min((side.shoppers >= MIN_SHOPPERS).sum(), (base.shoppers >= MIN_SHOPPERS).sum()))
        effect = side.means[:number] - base.means[:number]
        errors = np.sqrt(side.errors[:number] ** 2 + base.errors[:number] ** 2)
        metric = COLUMNS[column]
        effects += [
            DayEffect(
                metric=metric,
                arm=name,
                day=day,
                effect=digits(effect[day]),
                std_error=digits(errors[day]),
                shoppers=int(side.shoppers[day] + base.shoppers[day]),
            )
            for day in range(number)
        ]
        if number < 3 or not errors.any():
            continue
        weight = (side.shoppers + base.shoppers)[:number].astype(np.float64)
        centred = np.arange(number) - np.average(np.arange(number), weights=weight)
        weights = weight * centred / np.sum(weight * centred**2)
        slope = float(weights @ effect)
        error = float(np.sqrt(_cut(side, number).variance(weights) + _cut(base, number).variance(weights)))
        if error > 0:
            p = float(2 * norm.sf(abs(slope) / error))
            trends.append(NoveltyTrend(metric=metric, arm=name, slope=digits(slope), std_error=digits(error), p=digits(p)))
    return effects, trends


def _arm(days: pl.DataFrame, people: pl.DataFrame, column: str, last_day: int) -> _Arm:
    people = people.sort("user").with_row_index("row")
    eligible = (last_day - people["first_day"].to_numpy() + 1).astype(np.int64)  # days that could be followed, from 0
    joined = days.select("user", "day", column).join(people.select("user", "row", "first_day"), on="user")
    day = (joined["day"] - joined["first_day"]).to_numpy().astype(np.int64)
    row, values = joined["row"].to_numpy().astype(np.int64), joined[column].cast(pl.Float64).to_numpy()
    known = (day >= 0) & (day < eligible[row]) if len(row) else np.zeros(0, np.bool_)
    day, row, values = day[known], row[known], values[known]
    length = int(eligible.max(initial=0))
    shoppers = np.cumsum(np.bincount(np.maximum(eligible, 0), minlength=length + 1)[::-1])[::-1][1:]  # followed through day k
    total = np.bincount(day, weights=values, minlength=length)[:length]
    squares = np.bincount(day, weights=values**2, minlength=length)[:length]
    safe = np.maximum(shoppers, 1)
    means = total / safe
    errors = np.sqrt(np.maximum(squares / safe - means**2, 0) / safe)
    return _Arm(means, errors, shoppers, day, row, values, eligible)


def _cut(arm: _Arm, number: int) -> _Arm:
    return _Arm(arm.means[:number], arm.errors[:number], arm.shoppers[:number], arm.day, arm.row, arm.values, arm.eligible)
