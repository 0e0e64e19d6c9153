"""Comparisons of two arms: means, ratios by the delta method, CUPED, and where there is nothing to compare."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import ttest_ind

from components.experiment.comparison import compare
from components.experiment.metrics import BY_NAME, Metric

REVENUE, CLICKS = BY_NAME["revenue_per_shopper"], BY_NAME["click_rate"]


def side(seed: int, shoppers: int = 400, **columns: float) -> pl.DataFrame:
    """Shoppers whose clicks go with their impressions, and whose revenue goes with the revenue before."""
    rng = np.random.default_rng(seed)
    level = rng.gamma(2.0, 5.0, shoppers)
    impressions = 10.0 * (1 + rng.poisson(level))
    return pl.DataFrame(
        {
            "revenue": level * rng.gamma(4.0, 0.25, shoppers) + columns.get("revenue", 0.0),
            "pre_revenue": level * rng.gamma(4.0, 0.25, shoppers),
            "impressions": impressions,
            "clicks": rng.binomial(impressions.astype(int), 0.1).astype(float),
            "pre_impressions": impressions,
            "pre_clicks": rng.binomial(impressions.astype(int), 0.1).astype(float),
        }
    )


def test_a_mean_is_compared_as_welch_does() -> None:
    control, treatment = side(1), side(2, revenue=1.0)
    difference = compare(control, treatment, REVENUE, alpha=0.05, cuped=False)
    assert difference is not None
    welch = ttest_ind(treatment["revenue"], control["revenue"], equal_var=False)
    assert difference.effect == pytest.approx(treatment["revenue"].mean() - control["revenue"].mean())
    assert difference.effect / difference.std_error == pytest.approx(welch.statistic)
    assert difference.upper - difference.effect == pytest.approx(1.959964 * difference.std_error, rel=1e-6)


def test_the_error_of_a_ratio_is_that_of_its_linearization_over_shoppers() -> None:
    control, treatment = side(3), side(4)
    difference = compare(control, treatment, CLICKS, alpha=0.05, cuped=False)
    assert difference is not None
    variance = 0.0
    for arm in (control, treatment):
        clicks, impressions = arm["clicks"].to_numpy(), arm["impressions"].to_numpy()
        residual = (clicks - clicks.sum() / impressions.sum() * impressions) / impressions.mean()
        variance += residual.var(ddof=1) / len(arm)
    assert difference.control == pytest.approx(control["clicks"].sum() / control["impressions"].sum())
    assert difference.std_error == pytest.approx(variance**0.5, rel=1e-3)


def test_cuped_narrows_the_interval_by_the_correlation_with_the_time_before() -> None:
    control, treatment = side(5, 4000), side(6, 4000, revenue=0.5)
    plain = compare(control, treatment, REVENUE, alpha=0.05, cuped=False)
    cuped = compare(control, treatment, REVENUE, alpha=0.05, cuped=True)
    assert plain is not None
    assert cuped is not None
    correlation = np.corrcoef(control["revenue"], control["pre_revenue"])[0, 1]
    assert cuped.std_error / plain.std_error == pytest.approx((1 - correlation**2) ** 0.5, rel=0.05)
    assert abs(cuped.effect - 0.5) < 3 * cuped.std_error


def test_an_arm_without_events_is_compared_with_one_that_has_some() -> None:
    degraded = Metric(name="degraded_share", unit="", total="degraded", per="lists", higher_is_better=False, has_history=False)
    control = pl.DataFrame({"degraded": np.zeros(100), "lists": np.full(100, 5.0)})
    treatment = pl.DataFrame({"degraded": np.tile([0.0, 1.0], 50), "lists": np.full(100, 5.0)})
    difference = compare(control, treatment, degraded, alpha=0.05, cuped=False)
    assert difference is not None
    assert difference.effect == pytest.approx(1 / 10)
    assert difference.relative is None


@pytest.mark.parametrize(
    ("control", "treatment"),
    [
        (side(7, 29), side(8, 400)),
        (side(7).with_columns(revenue=pl.lit(0.0)), side(8).with_columns(revenue=pl.lit(0.0))),
        (side(7).with_columns(revenue=pl.lit(3.0)), side(8).with_columns(revenue=pl.lit(3.0))),
    ],
    ids=["too few shoppers", "nobody has any", "all have the same"],
)
def test_there_is_nothing_to_compare(control: pl.DataFrame, treatment: pl.DataFrame) -> None:
    assert compare(control, treatment, REVENUE, alpha=0.05, cuped=False) is None


def test_no_cuped_without_anything_before() -> None:
    nothing = {"pre_revenue": pl.lit(0.0)}
    assert compare(side(9).with_columns(**nothing), side(10).with_columns(**nothing), REVENUE, alpha=0.05, cuped=True) is None
