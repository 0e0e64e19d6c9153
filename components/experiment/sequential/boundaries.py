"""Compute critical values of a group sequential test, and the probability that it stops, at any sequence of looks.

At looks with shares t_1 < ... < t_K of the planned information, the z-statistics of an estimator with independent
increments are jointly normal with E Z_k = drift sqrt(t_k) and Cov(Z_j, Z_k) = sqrt(t_j / t_k): those of a Brownian
motion S_k = Z_k sqrt(t_k) with a drift (Jennison & Turnbull 2000, "Group Sequential Methods", ch. 3.1 and 11). The
density of S_k on the paths that haven't stopped follows from that of S_{k-1} by one numerical integration (Armitage,
McPherson & Rowe 1969; Jennison & Turnbull ch. 19). A critical value depends on the looks up to its own alone, so neither
the number nor the times of later looks need be known (Lan & DeMets 1983).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

from components.contract.errors import InputError
from components.experiment.sequential.spending import SPENDING, Numbers, Spending

CLOSEST = 1e-4  # least distance of two looks, as a share of the planned information
_REACH = 8.5  # standard deviations around the mean that are integrated: the rest has a probability of 2e-17
_PANEL = 3.0  # length of a panel of the integration, in standard deviations of an increment
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)  # on each panel
_NEGLIGIBLE = 1e-14  # an error rate below it is lost in rounding
_GREATEST = 40.0  # beyond all critical values: its probability underflows


@dataclass(frozen=True)
class ExitProbabilities:
    """Hold the probabilities to stop at each of K looks, beyond the upper or the lower critical value.

    Attributes:
        upper: [K].
        lower: [K].
    """

    upper: Numbers
    lower: Numbers

    @property
    def total(self) -> float:
        """Return the probability that the test stops beyond a critical value at any look."""
        return float(self.upper.sum() + self.lower.sum())


def critical_value(looks: Sequence[float], alpha: float = 0.05, *, spending: Spending = "obrien-fleming") -> float:
    """Return the two-sided critical value of |z| at the last of the looks; see `critical_values`."""
    return float(critical_values(looks, alpha, spending=spending)[-1])


def critical_values(
    looks: Sequence[float], alpha: float = 0.05, *, spending: Spending = "obrien-fleming", times: Sequence[float] | None = None
) -> Numbers:
    """Return the two-sided critical value of |z| at each look, [K].

    The test rejects at the first look with |z| at or above its value. With no effect it ever does so with a probability of
    at most `alpha`, exactly `alpha` once a look has a share of 1. The value is infinite at a look after that.

    Args:
        looks: [K] shares of the planned information, ascending: those used so far, today's the last. A test that ends
            as planned has 1 at its end. They may depend on anything but the effects seen.
        alpha: error rate of both sides together.
        spending: how fast alpha is spent.
        times: [K] shares of the plan that say how much of alpha is spent, where information is known up to a factor only, such as
            the share of the planned days (Lan & DeMets 1989, "Group sequential procedures: calendar versus information time");
            `looks` then may have any unit, with no share or step below `CLOSEST`. By default the looks themselves.

    Raises:
        InputError: looks, times or alpha are out of range.
    """
    shares = checked_looks(looks)
    _check_alpha(alpha)
    used = shares if times is None else np.asarray(times, np.float64)
    if used.shape != shares.shape or not (used > 0).all() or (np.diff(used) < 0).any():
        raise InputError(f"expected an ascending share of the plan for each of the {len(shares)} looks, got {list(used)}")
    spent = np.diff(SPENDING[spending](used, alpha / 2), prepend=0.0)
    bounds = np.full(len(shares), np.inf)
    path = _Path.start()
    for k, share in enumerate(shares):
        step = share - path.share
        if 0 < spent[k] < _NEGLIGIBLE:
            bounds[k] = norm.isf(spent[k])  # that of a single look, which is no smaller than the value needed
        elif spent[k] > 0:
            bounds[k] = brentq(lambda z, k=k, path=path, step=step: path.exit(z, step)[0] - spent[k], 0.0, _GREATEST, xtol=1e-10)
        path = path.advanced(share, bounds[k], finest=_finest(shares, k))
    return bounds


def exit_probabilities(looks: Sequence[float], bounds: Sequence[float], *, drift: float = 0.0) -> ExitProbabilities:
    """Return the probabilities to stop at each look.

    Args:
        looks: [K] shares of the planned information, ascending.
        bounds: [K] two-sided critical values.
        drift: mean of z at a share of 1: the effect over the standard error planned for the end.

    Raises:
        InputError: looks are out of range, or not as many as bounds.
    """
    shares = checked_looks(looks)
    if len(bounds) != len(shares):
        raise InputError(f"expected a critical value for each of the {len(shares)} looks, got {len(bounds)}")
    upper, lower = np.zeros(len(shares)), np.zeros(len(shares))
    path = _Path.start(drift)
    for k, share in enumerate(shares):
        upper[k], lower[k] = path.exit(bounds[k], share - path.share)
        path = path.advanced(share, bounds[k], finest=_finest(shares, k))
    return ExitProbabilities(upper, lower)


def checked_looks(looks: Sequence[float]) -> Numbers:
    """Return the looks as an array.

    Raises:
        InputError: there is none, one isn't a positive number, or they don't ascend by at least `CLOSEST`.
    """
    shares = np.asarray(looks, np.float64)
    if shares.ndim != 1 or not len(shares) or not (np.isfinite(shares).all() and shares[0] >= CLOSEST):
        raise InputError(f"expected looks as shares of the planned information from {CLOSEST} on, such as 0.25, 0.5, 1; got {list(looks)}")
    if (close := np.flatnonzero(np.diff(shares) < CLOSEST * (1 - 1e-9))).size:
        early, late = shares[close[0]], shares[close[0] + 1]
        raise InputError(f"expected looks that ascend by at least {CLOSEST}, got {early:g} and then {late:g}; leave out the second")
    return shares


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha < 1:
        raise InputError(f"expected an alpha between 0 and 1, such as 0.05, got {alpha}")


def _finest(shares: Numbers, k: int) -> float:
    """Return the standard deviation of the smaller of the increments before and after look k: the scale to resolve."""
    steps = np.diff(shares, prepend=0.0)[k : k + 2]
    return math.sqrt(float(steps.min()))


@dataclass(frozen=True)
class _Path:
    """Distribution of the Brownian motion on the paths that haven't stopped: `mass` [N] at the `points` [N]."""

    share: float
    drift: float
    points: Numbers
    mass: Numbers

    @classmethod
    def start(cls, drift: float = 0.0) -> "_Path":
        return cls(0.0, drift, np.zeros(1), np.ones(1))

    def exit(self, bound: float, step: float) -> tuple[float, float]:
        """Return the probabilities that z is at or beyond the upper and the lower bound after an increment."""
        edge, mean, scale = bound * math.sqrt(self.share + step), self.points + self.drift * step, math.sqrt(step)
        return float(self.mass @ norm.sf((edge - mean) / scale)), float(self.mass @ norm.cdf((-edge - mean) / scale))

    def advanced(self, share: float, bound: float, *, finest: float) -> "_Path":
        """Return the distribution at a later look, on the paths that stay within its bound."""
        step = share - self.share
        center, reach = self.drift * share, _REACH * math.sqrt(share)
        edge = bound * math.sqrt(share)
        low, high = max(-edge, center - reach), min(edge, center + reach)
        if low >= high:  # every path has stopped
            return _Path(share, self.drift, np.zeros(1), np.zeros(1))
        panels = math.ceil((high - low) / (_PANEL * finest))
        ends = np.linspace(low, high, panels + 1)
        half = (high - low) / panels / 2
        points = ((ends[:-1] + ends[1:])[:, None] / 2 + half * _NODES).ravel()
        weights = np.tile(half * _WEIGHTS, panels)
        scale = math.sqrt(step)
        mean = self.points + self.drift * step
        density = norm.pdf((points[:, None] - mean) / scale) @ self.mass / scale  # (points, points before)
        return _Path(share, self.drift, points, weights * density)
