"""Compute intervals and tests from a standard error over shoppers, valid also where shoppers are few.

A standard error over n shoppers is itself uncertain: with few of them the quantiles of the normal distribution promise
too much. So they are Student's t with n - 1 degrees of freedom, as for a mean of n values. Shoppers who come often
weigh more; n is therefore Kish's effective number of shoppers (`user_counts`) and needs not be whole (Carter et al.
2017, "Asymptotic behavior of a t-test robust to cluster heterogeneity"). It makes little of a difference from 100
shoppers on. `python -m benchmarks.evaluation.coverage` shows what it comes to.
"""

import math
from collections.abc import Sequence

from scipy.special import stdtr, stdtrit

CONFIDENCE = 0.95
FEWEST_SHOPPERS = 10
"""Below this many shoppers with a positive there is no interval: nothing corrects for what so few don't show."""


def half_width(error: float, effective: float, *, confidence: float = CONFIDENCE) -> float:
    """Return half the width of an interval; NaN where the error isn't defined.

    Args:
        error: the bootstrap's standard error.
        effective: number of shoppers.
        confidence: of the interval, two-sided.
    """
    if not effective > 1:
        return math.nan
    return float(stdtrit(effective - 1, (1 + confidence) / 2)) * error


def p_value(above: float, error: float, effective: float) -> float:
    """Return the p-value of a one-sided test that the true value isn't below 0: the chance of one this low at 0.

    Args:
        above: the value, less the greatest one that the hypothesis allows.
        error: the bootstrap's standard error.
        effective: number of shoppers.

    Returns:
        NaN where that isn't defined. Without an error (two equal models) the value is the truth: 0 below 0, else 1.
    """
    if not effective > 1 or math.isnan(above) or math.isnan(error):
        return math.nan
    if error == 0:
        return float(above >= 0)
    return float(stdtr(effective - 1, above / error))


def holm(p_values: Sequence[float], *, alpha: float) -> list[float | None]:
    """Test by Holm's procedure: the chance to reject any true hypothesis is at most alpha, however dependent they are.

    Holm (1979): the lowest of m p-values is compared with alpha / m, the next with alpha / (m - 1), until one is above.

    Returns:
        for each the level at which it is rejected, None where it isn't.
    """
    levels: list[float | None] = [None] * len(p_values)
    for done, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        level = alpha / (len(p_values) - done)
        if not p_values[i] <= level:
            break
        levels[i] = level
    return levels
