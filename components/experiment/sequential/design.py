"""Compute what looking early costs: the power of a group sequential test, and by how much its sample must be greater."""

from collections.abc import Sequence

from scipy.optimize import brentq
from scipy.stats import norm

from components.contract.errors import InputError
from components.experiment.sequential.boundaries import critical_values, exit_probabilities
from components.experiment.sequential.spending import Spending


def power(looks: Sequence[float], drift: float, alpha: float = 0.05, *, spending: Spending = "obrien-fleming") -> float:
    """Return the probability that the test rejects in favour of an effect.

    Args:
        looks: shares of the planned information, the last of them 1.
        drift: the effect over its standard error at a share of 1; 3.24 is a power of 0.9 with one look at an alpha of 0.05.
        alpha: of both sides.
        spending: how fast alpha is spent.

    Raises:
        InputError: looks or alpha are out of range.
    """
    bounds = critical_values(looks, alpha, spending=spending)
    stops = exit_probabilities(looks, bounds.tolist(), drift=abs(drift))
    return float(stops.upper.sum())


def inflation(looks: Sequence[float], alpha: float = 0.05, *, wanted_power: float = 0.8, spending: Spending = "obrien-fleming") -> float:
    """Return the greatest sample of a test with these looks over the sample of a fixed one of the same power.

    R(K, alpha, beta) of Jennison & Turnbull 2000, Tables 2.2 and 2.4, there for Pocock's and O'Brien and Fleming's tests.

    Args:
        looks: shares of the planned information, the last of them 1.
        alpha: of both sides.
        wanted_power: above alpha / 2, below 1.
        spending: how fast alpha is spent.

    Raises:
        InputError: an argument is out of range.
    """
    if not alpha / 2 < wanted_power < 1:
        raise InputError(f"expected a power above {alpha / 2:g} and below 1, such as 0.8, got {wanted_power}")
    fixed = norm.isf(alpha / 2) + norm.ppf(wanted_power)
    bounds = critical_values(looks, alpha, spending=spending).tolist()

    def missing(ratio: float) -> float:
        return float(exit_probabilities(looks, bounds, drift=fixed * ratio**0.5).upper.sum()) - wanted_power

    return float(brentq(missing, 1 - 1e-6, 10.0, xtol=1e-6))


def conditional_power(z: float, share: float, *, drift: float, critical: float) -> float:
    """Return the probability to reject upwards at a share of 1, given z today (Jennison & Turnbull 2000, ch. 10.2).

    Args:
        z: today.
        share: of the planned information, below 1.
        drift: assumed: the effect over its standard error at a share of 1.
        critical: value of z at a share of 1.
    """
    return float(norm.sf((critical - z * share**0.5 - drift * (1 - share)) / (1 - share) ** 0.5))
