"""Compare a metric between two arms, with intervals over shoppers: tea-tasting's ratio of means, with and without CUPED."""

import math
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import norm
from tea_tasting.aggr import Aggregates
from tea_tasting.metrics import RatioOfMeans

from components.experiment.metrics import Metric

MIN_SHOPPERS = 30
"""Of an arm: with fewer, a normal interval of a mean says little."""

MOST_RATIO = 100.0
"""Of the means of two arms: an interval beyond it says nothing of the relative effect."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A treatment beside the control; see `components.experiment.report_schema.MetricResult`."""

    control: float
    treatment: float
    effect: float
    std_error: float
    lower: float
    upper: float
    relative: float | None
    relative_lower: float | None
    relative_upper: float | None
    p: float


def compare(control: pl.DataFrame, treatment: pl.DataFrame, metric: Metric, *, alpha: float, cuped: bool) -> Difference | None:
    """Compare a metric between the shoppers of two arms.

    The standard error of a ratio is by the delta method over shoppers; with `cuped` the metric is adjusted by the same metric before
    the experiment, with one coefficient for both arms (Deng, Xu, Kohavi and Walker 2013). Intervals are normal; that of the relative
    effect is of the logarithm of the ratio of the means.

    Returns:
        None where there is nothing to compare: fewer than `MIN_SHOPPERS` shoppers in an arm, a total that nobody has, no variation, or
        with `cuped` no variation before the experiment.
    """
    if min(len(control), len(treatment)) < MIN_SHOPPERS:
        return None
    columns = [metric.total] if metric.per is None else [metric.total, metric.per]
    earlier = [f"pre_{name}" for name in columns] if cuped else []
    if cuped and not metric.has_history:
        return None
    sides = [aggregates(side, columns + earlier) for side in (control, treatment)]
    if any(side.mean(metric.per) <= 0 for side in sides) or not any(side.var(columns[0]) > 0 for side in sides):
        return None
    if cuped and any(side.var(earlier[0]) <= 0 or side.mean(earlier[1] if metric.per else None) <= 0 for side in sides):
        return None
    result = _analysis(metric, alpha, cuped=cuped).analyze_aggregates(*sides)
    half = float(norm.isf(alpha / 2))
    error = (result.effect_size_ci_upper - result.effect_size_ci_lower) / 2 / half
    if not error > 0:
        return None
    has_relative = result.control > 0 and result.treatment > 0
    return Difference(
        control=result.control,
        treatment=result.treatment,
        effect=result.effect_size,
        std_error=error,
        lower=result.effect_size_ci_lower,
        upper=result.effect_size_ci_upper,
        relative=result.rel_effect_size if has_relative else None,
        relative_lower=result.rel_effect_size_ci_lower if has_relative else None,
        relative_upper=result.rel_effect_size_ci_upper if has_relative else None,
        p=result.pvalue,
    )


def widened(difference: Difference, critical: float, *, alpha: float) -> Difference:
    """Return a difference with intervals and p that allow for looks at other times.

    Args:
        difference: with intervals for one look.
        critical: two-sided critical value of |z| at this look; the interval of the effect is `critical` standard errors to each side.
        alpha: of the intervals, and of the critical value.

    Returns:
        The difference with its intervals wider by `critical` over the normal quantile of alpha, and p that of a z smaller by as much: p is
        below alpha exactly where the interval excludes 0. As critical values grow no faster than the normal quantile where alpha falls,
        p below a smaller level, such as of a correction for several tests, rejects no more often than that level's own critical value.
        A relative interval beyond `MOST_RATIO` is left out.
    """
    factor = critical / float(norm.isf(alpha / 2))
    half = critical * difference.std_error
    wide = replace(
        difference,
        lower=difference.effect - half,
        upper=difference.effect + half,
        p=float(2 * norm.sf(abs(difference.effect) / difference.std_error / factor)),
    )
    if difference.relative is None or difference.relative_upper is None:
        return wide
    log_ratio = math.log1p(difference.relative)
    log_half = factor * (math.log1p(difference.relative_upper) - log_ratio)  # the interval is even on the scale of logarithms
    if log_ratio + log_half > math.log(MOST_RATIO):
        return replace(wide, relative_lower=None, relative_upper=None)
    return replace(wide, relative_lower=math.expm1(log_ratio - log_half), relative_upper=math.expm1(log_ratio + log_half))


def digits(value: float) -> float:
    """Return twelve digits: sums in parallel differ in the last ones from run to run."""
    return float(f"{value:.12g}")


def aggregates(table: pl.DataFrame, columns: list[str]) -> Aggregates:
    """Return count, means, variances and covariances of columns over shoppers."""
    values = table.select(pl.col(columns).cast(pl.Float64)).to_numpy().T  # (columns, shoppers)
    covariance = np.atleast_2d(np.cov(values))
    means = values.mean(axis=1)
    pairs = {(left, right): float(covariance[i, j]) for i, left in enumerate(columns) for j, right in enumerate(columns) if i < j}
    return Aggregates(
        count_=len(table),
        mean_={name: float(means[i]) for i, name in enumerate(columns)},
        var_={name: float(covariance[i, i]) for i, name in enumerate(columns)},
        cov_=pairs,
    )


def _analysis(metric: Metric, alpha: float, *, cuped: bool) -> RatioOfMeans:
    return RatioOfMeans(
        metric.total,
        metric.per,
        numer_covariate=f"pre_{metric.total}" if cuped else None,
        denom_covariate=f"pre_{metric.per}" if cuped and metric.per else None,
        confidence_level=1 - alpha,
        alternative="two-sided",
        equal_var=False,
        use_t=False,
    )
