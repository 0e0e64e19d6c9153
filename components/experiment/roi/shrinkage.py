"""Shrink effects for the winner's curse: what was shipped because it looked good is, on average, less good than it looked.

True effects theta_i of all arms that were tried, shipped or not, are taken to come from one distribution, which is learned
from all of them:

    y_i | theta_i ~ N(theta_i, s_i^2),    theta_i ~ mu + tau * t_2,    mu | tau ~ N(0, (tau / 2)^2),    tau ~ half-Cauchy(2 s)

with s the root mean square of the s_i. Given all arms, which of them were shipped says nothing more of the true effects where the
decision used these data (Dawid 1994, "Selection paradoxes of Bayesian inference"; Senn 2008): the posterior needs no correction
for selection, whatever the rule was, as long as no arm is left out. The prior is wide in tau (Gelman 2006) and its tails are
heavy, as those of experiments are (Azevedo et al. 2020, "A/B testing with fat tails"), so that a single big success among small
ones isn't shrunk to them; mu is near 0, as most changes do little. `python -m benchmarks.roi` measures coverage of the total and bias.

`james_stein` is the positive-part estimator towards 0, for comparison from six arms on. It shrinks by an estimate of tau alone,
without that estimate's error, and so has no interval for a total of selected arms.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import chi2

Floats = NDArray[np.float64]

JAMES_STEIN_FROM = 6
"""Arms; with fewer the estimate of tau is too poor for it."""
TAIL_DF = 2
_MEAN_SCALE = 0.5  # standard deviation of mu over tau
_TAU_SCALE = 2.0  # of the half-Cauchy, over s
_TAU_NODES, _MEAN_NODES, _TAIL_NODES = 40, 9, 12


def james_stein(effects: Floats, std_errors: Floats) -> Floats:
    """Shrink towards 0 by positive-part James-Stein.

    For equal standard errors this is (1 - (k - 2) s^2 / sum y^2)+ y (Efron and Morris 1973, "Stein's estimation rule and its
    competitors", JASA 68, eq. 1.7 and its positive part); else A solves sum y_i^2 / (A + s_i^2) = k - 2, or is 0 where the sum
    is smaller at 0, and y_i is multiplied by A / (A + s_i^2) (Efron and Morris 1975, JASA 70, section 3). Towards 0 and not towards the
    grand mean, as the mean of few arms is mostly noise, and a shift of all of them enters A.

    Args:
        effects: (k,).
        std_errors: (k,), above 0.

    Returns:
        (k,).

    Raises:
        ValueError: k is below `JAMES_STEIN_FROM`.
    """
    if len(effects) < JAMES_STEIN_FROM:
        raise ValueError(f"expected at least {JAMES_STEIN_FROM} effects, got {len(effects)}")

    def excess(variance: float) -> float:
        return float((effects**2 / (variance + std_errors**2)).sum()) - (len(effects) - 2)

    if excess(0.0) <= 0:
        return np.zeros(len(effects))
    variance = brentq(excess, 0.0, float((effects**2).sum()), xtol=1e-12 * float((std_errors**2).max()))
    return np.asarray(effects * variance / (variance + std_errors**2), np.float64)


def posterior_draws(effects: Floats, std_errors: Floats, *, draws: int = 10_000, seed: int = 0) -> Floats:
    """Draw true effects from their joint posterior.

    Args:
        effects: (k,) measured, of all arms that were tried.
        std_errors: (k,), above 0.
        draws: how many.
        seed: of the generator; the same seed gives the same draws.

    Returns:
        (draws, k).
    """
    rng = np.random.default_rng(seed)
    scale = float(np.sqrt(np.mean(std_errors**2)))
    y, s2 = effects / scale, (std_errors / scale) ** 2
    tau, tau_weight = _tau_nodes()
    shift, shift_weight = _normal_nodes()
    tail, tail_weight = _tail_nodes()
    variance = tau[:, None] ** 2 / tail  # (tau, tail): of theta around mu
    total = variance[:, None, :] + s2[:, None]  # (tau, arms, tail): of y
    mean = tau[:, None] * shift  # (tau, mu)
    residual = (y - mean[:, :, None])[..., None]  # (tau, mu, arms, 1)
    # The least exponent of an arm is taken out: far from all nodes every density would be 0.
    log_density = np.log(tail_weight) - 0.5 * np.log(total)[:, None] - 0.5 * residual**2 / total[:, None]  # (tau, mu, arms, tail)
    highest = log_density.max(-1, keepdims=True)
    density = np.exp(log_density - highest)
    log_cell = (np.log(density.sum(-1)) + highest[..., 0]).sum(-1) + np.log(tau_weight)[:, None] + np.log(shift_weight)  # (tau, mu)
    cell_weight = np.exp(log_cell - log_cell.max()).ravel()
    # Systematic resampling: as many draws from each cell of (tau, mu) as its weight asks for.
    steps = (np.arange(draws) + rng.uniform()) / draws
    cells = np.searchsorted(np.cumsum(cell_weight) / cell_weight.sum(), steps).clip(max=len(cell_weight) - 1)
    of_tau, of_mean = np.divmod(cells, len(shift))
    share = np.cumsum(density / density.sum(-1, keepdims=True), axis=-1)  # (tau, mu, arms, tail)
    level = rng.uniform(size=(draws, len(y)))
    of_tail = np.zeros((draws, len(y)), np.int64)
    for node in range(len(tail) - 1):  # one at a time: all at once would take the memory of a dozen such arrays
        of_tail += level > share[of_tau, of_mean, :, node]
    prior_variance = variance[of_tau[:, None], of_tail]
    kept = prior_variance / (prior_variance + s2)
    center = mean[of_tau, of_mean][:, None]
    theta = center + kept * (y - center) + np.sqrt(kept * s2) * rng.standard_normal((draws, len(y)))
    return np.asarray(theta * scale, np.float64)


def _tau_nodes() -> tuple[Floats, Floats]:
    """Return midpoints of equal probability of the half-Cauchy."""
    middle = (np.arange(_TAU_NODES) + 0.5) / _TAU_NODES
    return _TAU_SCALE * np.tan(0.5 * np.pi * middle), np.full(_TAU_NODES, 1 / _TAU_NODES)


def _normal_nodes() -> tuple[Floats, Floats]:
    nodes: Any = np.polynomial.hermite_e.hermegauss(_MEAN_NODES)
    return _MEAN_SCALE * nodes[0], nodes[1] / nodes[1].sum()


def _tail_nodes() -> tuple[Floats, Floats]:
    """Return precisions and weights of the normals that make up Student's t: Gauss-Legendre over the quantiles of chi^2 / df."""
    nodes: Any = np.polynomial.legendre.leggauss(_TAIL_NODES)
    return chi2.ppf((nodes[0] + 1) / 2, TAIL_DF) / TAIL_DF, nodes[1] / 2
