"""Analyse a switchback experiment: arms by time slot, for effects that one shopper's arm has on others, such as on stock.

Slots are the independent units: each slot's arm is drawn apart, and everything within a slot shares it. What an arm does
may last into the next slot, which a plain comparison of slots then counts as the other arm's (Bojinov, Simchi-Levi & Zhao
2023, "Design and analysis of switchback experiments"). So a slot's rate is regressed on its own arm and on the arm of the
slot before it,

    clicks / lists = a + effect * treated + carry_over * treated before,

weighted by lists. As arms are drawn apart, the two coefficients don't confound each other, nor do trends and hours of the
day bias them. The standard errors hold for unequal variances and for disturbances that last: neighbouring slots share an
arm in the regression, further ones none, so their covariance at a lag of one slot is all there is (Newey & West 1987, with
weights of 1 up to that lag).
"""

import math
from dataclasses import dataclass

import numpy as np
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy.stats import t as student

from components.contract.errors import InputError

FEWEST_SLOTS = 20  # below it the standard errors are too small


@dataclass(frozen=True)
class Slots:
    """Hold S time slots with lists.

    Attributes:
        number: [S] of the slot, ascending; consecutive slots differ by 1.
        treated: [S] whether its arm is the treatment.
        clicks: [S] or any other sum over the slot's lists.
        lists: [S], above 0.
    """

    number: NDArray[np.int64]
    treated: NDArray[np.bool_]
    clicks: NDArray[np.float64]
    lists: NDArray[np.float64]


@dataclass(frozen=True)
class Coefficient:
    """Hold an effect on clicks per list with its interval and two-sided p."""

    value: float
    std_error: float
    lower: float
    upper: float
    p: float


@dataclass(frozen=True)
class SwitchbackResult:
    """Hold what a switchback says.

    Attributes:
        slots: that count: those whose preceding slot has lists too.
        treated: of these.
        control: clicks per list of the control's slots after slots of the control.
        effect: of a slot's own arm.
        carry_over: of the arm of the slot before.
        lasting: both together: the effect of the treatment if it is shipped.
    """

    slots: int
    treated: int
    control: float
    effect: Coefficient
    carry_over: Coefficient
    lasting: Coefficient


def analyse_switchback(slots: Slots, *, alpha: float = 0.05) -> SwitchbackResult:
    """Estimate the effect of a slot's arm, and what the arm before has left over.

    Raises:
        InputError: too few slots follow one with lists, or they don't have all four pairs of arms.
    """
    follows = np.r_[False, np.diff(slots.number) == 1]
    before = np.r_[False, slots.treated[:-1]][follows]
    own, clicks, lists = slots.treated[follows], slots.clicks[follows], slots.lists[follows]
    if len(own) < FEWEST_SLOTS:
        raise InputError(f"expected {FEWEST_SLOTS} slots that follow a slot with lists, got {len(own)}; wait, or take shorter slots")
    if len(np.unique(2 * own + before)) < 4:
        raise InputError("expected slots of each arm after each arm, got fewer pairs; wait for more slots")
    design = np.column_stack([np.ones(len(own)), own, before]).astype(np.float64)
    model, freedom = sm.WLS(clicks / lists, design, weights=lists), len(own) - design.shape[1]
    fit = model.fit(cov_type="HAC", cov_kwds={"maxlags": 1, "kernel": "uniform", "use_correction": True})
    without_lag = np.asarray(model.fit(cov_type="HC1").cov_params())
    with_lag = np.asarray(fit.cov_params())

    def coefficient(combination: tuple[float, float, float]) -> Coefficient:
        weights = np.array(combination)
        value, variance = float(weights @ fit.params), float(weights @ with_lag @ weights)
        if variance <= 0:  # weights of 1 don't rule it out where there are few slots
            variance = float(weights @ without_lag @ weights)
        error = math.sqrt(variance)
        half = float(student.isf(alpha / 2, freedom)) * error
        p = float(2 * student.sf(abs(value) / error, freedom)) if error else 1.0
        return Coefficient(value, error, value - half, value + half, p)

    return SwitchbackResult(
        slots=len(own),
        treated=int(own.sum()),
        control=float(fit.params[0]),
        effect=coefficient((0, 1, 0)),
        carry_over=coefficient((0, 0, 1)),
        lasting=coefficient((0, 1, 1)),
    )
