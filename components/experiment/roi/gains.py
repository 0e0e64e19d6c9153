"""Turn shrunk effects into what the shop gained: by metric, by arm and by day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from components.contract.errors import InputError
from components.experiment.roi.price_file import PriceFile
from components.experiment.roi.programme import MARGIN, REVENUE, Arm, Programme
from components.experiment.roi.shrinkage import JAMES_STEIN_FROM, Floats, james_stein, posterior_draws

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure as it was measured, and shrunk with its interval of 95 %."""

    measured: float
    shrunk: float
    lower: float
    upper: float


@dataclass(frozen=True, kw_only=True)
class ShrunkEffects:
    """Relative effects of all arms on a metric, shares of the control's mean.

    Attributes:
        measured: (arms,).
        std_errors: (arms,).
        draws: (draws, arms) of the posterior.
        james_stein: (arms,), None with fewer than six.
    """

    measured: Floats
    std_errors: Floats
    draws: Floats
    james_stein: Floats | None


def shrink(arms: Sequence[Arm], metric: str) -> ShrunkEffects:
    """Shrink the relative effects of all arms on a metric that all have."""
    measured = np.array([arm.metrics[metric].effect / arm.metrics[metric].control for arm in arms])
    std_errors = np.array([arm.metrics[metric].std_error / arm.metrics[metric].control for arm in arms])
    enough = len(arms) >= JAMES_STEIN_FROM
    return ShrunkEffects(
        measured=measured,
        std_errors=std_errors,
        draws=posterior_draws(measured, std_errors),
        james_stein=james_stein(measured, std_errors) if enough else None,
    )


def margin_basis(programme: Programme, file: PriceFile) -> tuple[str, float]:
    """Return the metric that profit is computed from, and what it is multiplied by.

    Raises:
        InputError: neither the reports nor the price file know the margin.
    """
    if MARGIN not in programme.left_out:
        return MARGIN, 1.0
    if file.effects.margin is None:
        raise InputError(
            f"expected the metric {MARGIN!r} in all reports, but {programme.left_out[MARGIN]}; give the margin over revenue in the price"
            " file, such as `effects: {margin: 0.3}`"
        )
    return REVENUE, file.effects.margin.value


def days_between(start: date, until: date) -> tuple[date, ...]:
    """Return the days from `start` on, without `until`."""
    return tuple(start + timedelta(i) for i in range((until - start).days))


def in_force(arm: Arm, days: Sequence[date], *, half_life_days: float | None) -> Floats:
    """Return the share of an arm's effect that is in force on each day: 0 before it was shipped and after it was withdrawn."""
    if arm.shipped_from is None:
        return np.zeros(len(days))
    age = np.array([(day - arm.shipped_from).days for day in days], np.float64)
    until = np.inf if arm.shipped_until is None else float((arm.shipped_until - arm.shipped_from).days)
    left = np.ones(len(days)) if half_life_days is None else 0.5 ** (age / half_life_days)
    return np.asarray(np.where((age >= 0) & (age < until), left, 0.0), np.float64)


def money_weights(arms: Sequence[Arm], metric: str, file: PriceFile, days: Sequence[date]) -> Floats:
    """Return what a relative effect of 1 brings each day in the file's currency, (arms, days)."""
    half_life = file.effects.half_life_days
    return np.array(
        [
            arm.metrics[metric].control
            * arm.shoppers_a_day
            * file.effects.traffic.value
            * in_force(arm, days, half_life_days=None if half_life is None else half_life.value)
            for arm in arms
        ]
    ).reshape(len(arms), len(days))


def total(effects: ShrunkEffects, weights: Floats) -> Estimate:
    """Estimate the sum of weighted effects; `weights` (arms,) are 0 for arms that weren't shipped."""
    draws = effects.draws @ weights
    lower, upper = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(measured=float(effects.measured @ weights), shrunk=float(draws.mean()), lower=float(lower), upper=float(upper))


def last_day_weights(arms: Sequence[Arm], metric: str, file: PriceFile, until: date) -> Floats:
    """Return weights that add the arms' effects, in the metric's unit, as they are in force on the last day that counts."""
    half_life = file.effects.half_life_days
    day = (until - timedelta(1),)
    return np.array(
        [arm.metrics[metric].control * in_force(arm, day, half_life_days=None if half_life is None else half_life.value)[0] for arm in arms]
    )
