"""Compute intervals that hold at all times at once, for looks that nobody planned (anytime-valid).

The normal mixture boundary (Robbins 1970; Howard, Ramdas, McAuliffe & Sekhon 2021, "Time-uniform, nonparametric,
nonasymptotic confidence sequences", eq. 14), with the estimated variance an asymptotic confidence sequence
(Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas 2024, "Time-uniform central limit theory and asymptotic confidence
sequences", Theorem 2.2): with information V, in units in which the mixture's variance is 1,

    |z| < sqrt((1 + 1 / V) log((1 + V) / alpha^2))    at all times with a probability of 1 - alpha.

It is the mixture sequential probability ratio test (mSPRT) inverted.
"""

import math

from scipy.special import lambertw

from components.contract.errors import InputError
from components.experiment.sequential.estimates import Interval, checked_std_error


def anytime_critical_value(share: float, alpha: float = 0.05) -> float:
    """Return the critical value of |z| at a moment, however often and for whatever reason one looks.

    Args:
        share: of the planned information; may pass 1. The value is right whatever the plan, and least near 1.
        alpha: probability that |z| is ever at or above the value while there is no effect.

    Raises:
        InputError: share or alpha are out of range.
    """
    if not 0 < alpha < 1:
        raise InputError(f"expected an alpha between 0 and 1, such as 0.05, got {alpha}")
    if not (math.isfinite(share) and share > 0):
        raise InputError(f"expected a positive share of the planned information, got {share}")
    # The V with the narrowest interval solves V = log(1 + V) - 2 log(alpha).
    narrowest = -lambertw(-(alpha**2) / math.e, -1).real - 1
    information = share * narrowest
    return math.sqrt((1 + 1 / information) * (math.log1p(information) - 2 * math.log(alpha)))


def anytime_interval(estimate: float, std_error: float, share: float, alpha: float = 0.05) -> Interval:
    """Return an interval that belongs to a sequence, all of which cover the effect at once with a probability of 1 - alpha.

    Args:
        estimate: of the effect, today.
        std_error: its standard error, today.
        share: of the planned information, today.
        alpha: of both sides.

    Raises:
        InputError: an argument is out of range.
    """
    checked_std_error(std_error)
    half = anytime_critical_value(share, alpha) * std_error
    return Interval(estimate - half, estimate + half)
