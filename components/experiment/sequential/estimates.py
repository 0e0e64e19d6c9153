"""Estimate an effect after looking several times: intervals that hold at every look, and estimates for a test that stopped.

A test that stops at a great value has picked it, so the usual estimate is too far from 0 and its interval too sure.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from scipy.optimize import brentq

from components.contract.errors import InputError
from components.experiment.sequential.boundaries import checked_looks, critical_value, critical_values, exit_probabilities
from components.experiment.sequential.spending import Numbers, Spending


@dataclass(frozen=True)
class Interval:
    """Hold a confidence interval of an effect, in its unit."""

    lower: float
    upper: float


@dataclass(frozen=True)
class FinalEstimate:
    """Hold what is known of an effect after the test has stopped.

    Attributes:
        median: median-unbiased estimate, as often above the effect as below it.
        interval: with its confidence after the stop.
        p: two-sided.
    """

    median: float
    interval: Interval
    p: float


def repeated_interval(
    estimate: float, std_error: float, looks: Sequence[float], alpha: float = 0.05, *, spending: Spending = "obrien-fleming"
) -> Interval:
    """Return an interval that belongs to a sequence, all of which cover the effect at once with a probability of 1 - alpha.

    It is the estimate plus or minus the look's critical value times the standard error (Jennison & Turnbull 2000, ch. 9):
    it holds whether or not the test stops, for whatever reason, and excludes 0 where the test rejects.

    Args:
        estimate: of the effect, today.
        std_error: its standard error, today.
        looks: shares of the planned information used so far, today's the last.
        alpha: of both sides.
        spending: how fast alpha is spent.

    Raises:
        InputError: the looks are out of range, or the standard error isn't positive.
    """
    checked_std_error(std_error)
    half = critical_value(looks, alpha, spending=spending) * std_error
    return Interval(estimate - half, estimate + half)


def final_estimate(
    estimate: float, std_error: float, looks: Sequence[float], alpha: float = 0.05, *, spending: Spending = "obrien-fleming"
) -> FinalEstimate:
    """Return the estimate, interval and p of a test that stopped at the last of the looks, by the stagewise ordering.

    A result counts as further up the earlier the test stopped beyond an upper critical value, and at one look the greater
    its z is; further down likewise (Fairbanks & Madsen 1982; Tsiatis, Rosner & Mehta 1984; Jennison & Turnbull 2000, ch.
    8.4 and 8.5). The ordering needs no look after the stop, so later ones needn't be known. Where the test stopped at a
    critical value or at a share of 1, the interval excludes 0 if, and only if, it rejected.

    Args:
        estimate: of the effect at the stop.
        std_error: its standard error then.
        looks: shares of the planned information used, the stop's the last.
        alpha: of both sides.
        spending: how fast alpha was spent.

    Raises:
        InputError: the looks are out of range, or the standard error isn't positive.
    """
    checked_std_error(std_error)
    shares = checked_looks(looks)
    bounds = critical_values(looks, alpha, spending=spending)
    unit = std_error * math.sqrt(shares[-1])  # of an effect with a drift of 1
    at_least = _upper_tail(shares, bounds, estimate / std_error)

    def drift(probability: float) -> float:
        """Return the drift at which a result at least as far up has a probability."""
        center, width = estimate / unit, 1.0
        while at_least(center - width) > probability or at_least(center + width) < probability:
            width *= 2
        return float(brentq(lambda theta: at_least(theta) - probability, center - width, center + width, xtol=1e-9))

    upward = at_least(0.0)
    return FinalEstimate(
        median=drift(0.5) * unit,
        interval=Interval(drift(alpha / 2) * unit, drift(1 - alpha / 2) * unit),
        p=min(1.0, 2 * min(upward, 1 - upward)),
    )


def _upper_tail(shares: Numbers, bounds: Numbers, z: float) -> Callable[[float], float]:
    """Return the probability, by drift, of stopping at an earlier upper bound, or at the last look at or beyond z."""

    def probability(drift: float) -> float:
        if len(shares) == 1:
            return NormalDist().cdf(drift * math.sqrt(shares[0]) - z)
        # At the last look the bound is z itself, one side of it: of a negative z the lower side is its complement.
        last = exit_probabilities(shares.tolist(), [*bounds[:-1], abs(z)], drift=drift)
        earlier_up, earlier_down = float(last.upper[:-1].sum()), float(last.lower[:-1].sum())
        if z >= 0:
            return earlier_up + float(last.upper[-1])
        return 1 - earlier_down - float(last.lower[-1])

    return probability


def checked_std_error(std_error: float) -> None:
    """Check a standard error.

    Raises:
        InputError: it isn't a positive number.
    """
    if not (math.isfinite(std_error) and std_error > 0):
        raise InputError(f"expected a positive standard error, got {std_error}; an arm without variation can't be compared")
