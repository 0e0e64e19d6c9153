"""Simulate programmes of experiments whose true effects are known, as the reports that `shelfrank experiment report` writes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from components.experiment.report_schema import ArmSummary, Decision, ExperimentReport, MetricResult, Role, ShopperEffect
from components.experiment.roi.programme import MARGIN, METRICS, REVENUE

Floats = NDArray[np.float64]

DAYS = 14
START = date(2026, 1, 1)
CONTROLS: Mapping[str, float] = {REVENUE: 12.0, MARGIN: 4.0, "basket_size": 2.1, "return_within_7_days": 0.31}
_UNITS = {
    REVENUE: "EUR per shopper",
    MARGIN: "EUR per shopper",
    "basket_size": "pieces per order",
    "return_within_7_days": "share of shoppers",
}


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A programme: relative true effects on revenue and margin, what was measured of each, and what was shipped; all (experiments,)."""

    truth: Floats
    measured: Floats
    margin: Floats
    std_errors: Floats
    shipped: NDArray[np.bool_]


def report(
    name: str,
    effects: Mapping[str, tuple[float, float]],
    *,
    first_day: date,
    shoppers: int = 40_000,
    days: int = DAYS,
    shipped: bool,
    control_share: float = 0.5,
) -> ExperimentReport:
    """Return the report of an experiment of two arms, `control` and `new`.

    Args:
        name: of the experiment.
        effects: metric to relative effect and its standard error, shares of the control's mean.
        first_day: of the experiment.
        shoppers: of both arms.
        days: that it ran.
        shipped: whether `new` was shipped.
        control_share: of the shoppers.
    """
    control = round(shoppers * control_share)
    results, rows = [], []
    for metric, (effect, error) in effects.items():
        mean = CONTROLS[metric]
        role: Role = "primary" if metric == REVENUE else "secondary"
        results.append(
            MetricResult(
                metric=metric, unit=_UNITS[metric], role=role, higher_is_better=True, arm="new", adjustment="cuped", control=mean,
                treatment=mean * (1 + effect), effect=mean * effect, std_error=mean * error, lower=mean * (effect - 1.96 * error),
                upper=mean * (effect + 1.96 * error), relative=effect, p=0.5, control_shoppers=control,
                treatment_shoppers=shoppers - control,
            )
        )  # fmt: skip
        if metric in (REVENUE, MARGIN):
            rows.append(
                ShopperEffect(
                    metric=metric, unit=_UNITS[metric], arm="new", effect=mean * effect, std_error=mean * error, shoppers=shoppers,
                    treated=shoppers - control, days=days, first_day=first_day, last_day=first_day + timedelta(days - 1), shipped=shipped,
                )
            )  # fmt: skip
    arms = [("control", control_share, control), ("new", 1 - control_share, shoppers - control)]
    return ExperimentReport(
        experiment=name,
        dataset="my_shop",
        created=datetime(2026, 12, 1, tzinfo=UTC),
        currency="EUR",
        control="control",
        arms=tuple(
            ArmSummary(name=arm, share=share, shoppers=number, sessions=2 * number, lists=6 * number, bots=0) for arm, share, number in arms
        ),
        first_day=first_day,
        last_day=first_day + timedelta(days - 1),
        days=days,
        confidence=0.95,
        outliers="amounts above the 99.9 % quantile count as the quantile",
        shipped="new" if shipped else None,
        decision=Decision(
            action="ship" if shipped else "stop", arm="new" if shipped else None, reasons=("simulated",), metrics=(), until=None
        ),
        effects=tuple(rows),
        results=tuple(results),
        checks=(),
        left_out={metric: "the dataset has no such column" for metric in METRICS if metric not in effects},
    )


def true_effects(prior: str, rng: np.random.Generator, number: int, *, mean: float, spread: float) -> Floats:
    """Draw relative true effects of a mean and a standard deviation: "light" tails are normal, "heavy" ones Student's t with 3 degrees of
    freedom, and of "rare" successes four in five are 0.
    """
    match prior:
        case "light":
            standard = rng.standard_normal(number)
        case "heavy":
            standard = rng.standard_t(3, number) / np.sqrt(3)
        case _:
            standard = np.where(rng.uniform(size=number) < 0.8, 0.0, rng.standard_normal(number) * np.sqrt(5))
    return np.asarray(mean + spread * standard, np.float64)


def plant(
    prior: str, rng: np.random.Generator, number: int, *, mean: float, spread: float, errors: tuple[float, float], correlation: float = 1.0
) -> Planted:
    """Draw a programme in which something was shipped: what is significantly better, two-sided at 5 %.

    Args:
        prior: of `true_effects`.
        rng: the randomness.
        number: of experiments.
        mean: of true effects.
        spread: their standard deviation.
        errors: least and greatest standard error; log-uniform between them.
        correlation: of the errors of margin with those of revenue, by which is decided.
    """
    while True:
        truth = true_effects(prior, rng, number, mean=mean, spread=spread)
        std_errors = np.exp(rng.uniform(np.log(errors[0]), np.log(errors[1]), number))
        noise = rng.standard_normal(number)
        other = rng.standard_normal(number) if correlation < 1 else noise
        measured = truth + std_errors * noise
        margin = truth + std_errors * (correlation * noise + np.sqrt(1 - correlation**2) * other)
        shipped = measured > 1.959964 * std_errors
        if shipped.any():
            return Planted(truth=truth, measured=measured, margin=margin, std_errors=std_errors, shipped=shipped)


def reports_of(programme: Planted) -> list[ExperimentReport]:
    """Return the programme's reports, one experiment after another."""
    rows = zip(programme.measured, programme.margin, programme.std_errors, programme.shipped, strict=True)
    return [
        report(
            f"test_{i + 1}",
            {REVENUE: (float(revenue), float(error)), MARGIN: (float(margin), float(error))},
            first_day=START + i * timedelta(DAYS),
            shipped=bool(shipped),
        )
        for i, (revenue, margin, error, shipped) in enumerate(rows)
    ]
