"""Plan an experiment from a shop's own log: how large an effect it finds in how many days, and how long an effect takes.

The power of a test is tea-tasting's, for a two-sided test of the difference of two arms at the level alpha over the number of
treatments (Bonferroni, which Holm's correction never falls short of). Variances are over shoppers, of as many days as the experiment
has: totals of a shopper grow with time, and so do their spread and the number of shoppers.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl
from pydantic import Field
from tea_tasting.aggr import Aggregates
from tea_tasting.metrics import RatioOfMeans

from components.contract.base_model import Strict
from components.experiment.comparison import MIN_SHOPPERS, aggregates, digits
from components.experiment.metrics import Metric


class PlannedMetric(Strict):
    """What an experiment of some days finds of a metric."""

    metric: str
    unit: str
    days: int
    shoppers: int = Field(description="Of the experiment in these days, in all arms together")
    mean: float
    std_dev: float = Field(description="Over shoppers; of a ratio, by the delta method")
    effect: float = Field(description="Least relative effect that is found with the stated power, with CUPED where there is history")
    effect_without_cuped: float
    cuped_gain: float = Field(description="Share of the variance that the same metric before takes away")
    shoppers_needed: int | None = Field(description="In all arms together, for the effect that was asked for")


class Weekday(Strict):
    """A day of the week beside the mean of all."""

    weekday: str
    lists: float = Field(description="Lists on such a day, over the mean of all days")
    revenue: float | None = Field(description="Likewise revenue")


class ExperimentPlan(Strict):
    """The whole plan."""

    dataset: str
    arms: int
    traffic: float
    alpha: float
    power: float
    asked_effect: float = Field(description="The relative effect that `shoppers_needed` and `days_needed` are for")
    currency: str | None
    metrics: tuple[PlannedMetric, ...]
    days_needed: dict[str, int | None] = Field(description="Metric to the shortest duration that finds the asked effect; null: none does")
    weekdays: tuple[Weekday, ...]
    left_out: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Design:
    """An experiment to plan.

    Attributes:
        arms: the control among them, all of the same share.
        traffic: share of the shoppers that the experiment has.
        effect: relative effect to find.
        alpha: of all treatments together.
        power: to find the effect with.
        currency: of amounts, where there are any.
    """

    arms: int
    traffic: float
    effect: float
    alpha: float
    power: float
    currency: str | None


def plan_metric(table: pl.DataFrame, metric: Metric, design: Design, *, days: int) -> PlannedMetric | None:
    """Plan a metric from the table of all shoppers of as many days; None with too few shoppers, or where none has any of it."""
    columns = [metric.total] if metric.per is None else [metric.total, metric.per]
    earlier = [f"pre_{name}" for name in columns] if metric.has_history else []
    if len(table) < MIN_SHOPPERS:
        return None
    data = aggregates(table, columns + earlier)
    if data.mean(metric.total) <= 0 or data.mean(metric.per) <= 0 or data.var(metric.total) <= 0:
        return None
    has_history = bool(earlier) and data.var(earlier[0]) > 0 and data.mean(earlier[1] if metric.per else None) > 0
    # A comparison is of two of the arms, which have two of so many shares of the shoppers.
    compared = len(table) * design.traffic * 2 / design.arms
    if compared < 2 * MIN_SHOPPERS:
        return None

    def solve(cuped: bool, parameter: Literal["rel_effect_size", "n_obs"]) -> float:
        test = RatioOfMeans(
            metric.total,
            metric.per,
            numer_covariate=earlier[0] if cuped else None,
            denom_covariate=earlier[1] if cuped and metric.per else None,
            alpha=design.alpha / (design.arms - 1),
            power=design.power,
            equal_var=False,
            use_t=False,
            n_obs=math.floor(compared) if parameter == "rel_effect_size" else None,
            rel_effect_size=design.effect if parameter == "n_obs" else None,
        )
        (result,) = test.solve_power_from_aggregates(data, parameter)
        return float(getattr(result, parameter))

    effect, without = solve(has_history, "rel_effect_size"), solve(False, "rel_effect_size")
    variance = float(data.ratio_var(metric.total, metric.per))
    return PlannedMetric(
        metric=metric.name,
        unit=metric.unit.format(currency=design.currency),
        days=days,
        shoppers=math.floor(len(table) * design.traffic),
        mean=digits(data.mean(metric.total) / data.mean(metric.per)),
        std_dev=digits(math.sqrt(variance)),
        effect=digits(effect),
        effect_without_cuped=digits(without),
        cuped_gain=digits(_gain(data, columns, earlier)) if has_history else 0.0,
        shoppers_needed=math.ceil(solve(has_history, "n_obs") * design.arms / 2),
    )


def _gain(data: Aggregates, columns: Sequence[str], earlier: Sequence[str]) -> float:
    """Return the squared correlation of a metric with itself before."""
    now, before = (*columns, None)[:2], (*earlier, None)[:2]
    covariance = data.ratio_cov(*now, *before)
    return float(covariance**2 / data.ratio_var(*now) / data.ratio_var(*before))


def days_needed(metrics: Sequence[PlannedMetric]) -> dict[str, int | None]:
    """Return the shortest duration of each metric whose shoppers are enough for the effect that was asked for."""
    needed: dict[str, int | None] = {}
    for each in sorted(metrics, key=lambda planned: planned.days):
        enough = each.shoppers_needed is not None and each.shoppers >= each.shoppers_needed
        if needed.get(each.metric) is None:
            needed[each.metric] = each.days if enough else None
    return needed


def weekdays(by_arm_day: pl.DataFrame) -> tuple[Weekday, ...]:
    """Return how the days of the week differ: why an experiment should run whole weeks."""
    by_day = by_arm_day.group_by("day").agg(pl.col("lists", "revenue").sum()).with_columns(weekday=pl.col("day").cast(pl.Date).dt.weekday())
    mean: Mapping[str, float] = {name: float(by_day[name].mean() or 0) for name in ("lists", "revenue")}  # type: ignore[arg-type]
    rows = by_day.group_by("weekday").agg(pl.col("lists", "revenue").mean()).sort("weekday")
    names = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    return tuple(
        Weekday(
            weekday=names[row["weekday"] - 1],
            lists=digits(row["lists"] / mean["lists"]) if mean["lists"] else 0.0,
            revenue=digits(row["revenue"] / mean["revenue"]) if mean["revenue"] else None,
        )
        for row in rows.iter_rows(named=True)
    )
