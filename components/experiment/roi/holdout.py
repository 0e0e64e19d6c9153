"""Check the sum of the experiments against a holdout: shoppers who never have any of the improvements."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from components.experiment.roi.gains import Estimate, ShrunkEffects, days_between, money_weights
from components.experiment.roi.price_file import PriceFile
from components.experiment.roi.programme import REVENUE, Arm

_Z = 1.959964  # two-sided, 95 %


@dataclass(frozen=True, kw_only=True)
class HoldoutCheck:
    """What the holdout measured beside what the experiments let expect, revenue per shopper over its period.

    Attributes:
        name: of its experiment.
        first_day: of its period, ISO 8601.
        last_day: of its period.
        measured: of everybody over the holdout's shoppers.
        predicted: by the arms that were shipped, for the days they were in force.
        difference: measured less predicted; its interval holds both errors.
        consistent: whether that interval holds 0.
    """

    name: str
    first_day: str
    last_day: str
    measured: Estimate
    predicted: Estimate
    difference: Estimate
    consistent: bool


def check_holdout(holdout: Arm, arms: Sequence[Arm], effects: ShrunkEffects, file: PriceFile) -> HoldoutCheck:
    """Compare the holdout with the shipped arms' effects on revenue.

    Args:
        holdout: everybody beside those without improvements.
        arms: all arms that were tried.
        effects: theirs on revenue.
        file: the price file.
    """
    days = days_between(holdout.first_day, holdout.last_day)
    days = (*days, holdout.last_day)
    shoppers = holdout.shoppers_a_day * len(days)
    weights = money_weights(arms, REVENUE, file, days).sum(1) / shoppers
    draws = effects.draws @ weights
    revenue = holdout.metrics[REVENUE]
    error = float(np.hypot(revenue.std_error, draws.std()))
    gap = revenue.effect - float(draws.mean())
    low, high = np.quantile(draws, [0.025, 0.975])
    return HoldoutCheck(
        name=holdout.experiment,
        first_day=holdout.first_day.isoformat(),
        last_day=holdout.last_day.isoformat(),
        measured=_estimate(revenue.effect, revenue.effect, revenue.std_error),
        predicted=Estimate(measured=float(effects.measured @ weights), shrunk=float(draws.mean()), lower=float(low), upper=float(high)),
        difference=_estimate(revenue.effect - float(effects.measured @ weights), gap, error),
        consistent=abs(gap) <= _Z * error,
    )


def _estimate(measured: float, value: float, error: float) -> Estimate:
    return Estimate(measured=measured, shrunk=value, lower=value - _Z * error, upper=value + _Z * error)
