"""Test whether one rate is above another, with a test that is valid after every request (anytime-valid).

The evidence is an e-process for two Bernoulli streams (Turner, Ly & Grünwald 2024, "Generic E-variables for exact
sequential k-sample tests that allow for optional stopping"; margins as in Turner & Grünwald 2023, "Exact anytime-valid
confidence intervals for contingency tables and beyond"): a capital that starts at 1 and bets on the next outcomes.
Under the null hypothesis its expectation never exceeds 1, whatever the rates, and so the chance that it ever reaches 1
/ alpha is at most alpha (Ville 1939): exactly, with any number of looks, at rates of one in a thousand as well as at
one in two.

The null hypothesis is p_a <= ratio p_b + shift. Before each block of requests the rates are estimated from the blocks
before, as p^_a and p^_b; their projection onto the null's boundary is (ratio q + shift, q) with the q that maximises

    n_a E log f(y; ratio q + shift) + n_b E log f(y; q),    y ~ p^_a and p^_b, f the Bernoulli likelihood

and the capital is multiplied by the block's likelihood ratio of (p^_a, p^_b) against it. If the estimates lie in the
null there is no bet.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = NDArray[np.float64]

# Prior weight, in requests, of the common rate in the estimate of each stream's rate: early bets are small.
SHRINKAGE = 100.0
_HALVINGS = 60  # of an interval no longer than 1: beyond double precision


@dataclass(frozen=True)
class NullHypothesis:
    """State the null hypothesis p_a <= ratio p_b + shift; by default that a's rate isn't above b's."""

    ratio: float = 1.0
    shift: float = 0.0


@dataclass(frozen=True)
class Counts:
    """Count successes in trials of the streams a and b: scalars, or arrays of one shape for several tests at once."""

    hits_a: Numbers
    trials_a: Numbers
    hits_b: Numbers
    trials_b: Numbers

    def misses(self) -> "Counts":
        """Swap success and failure: p becomes 1 - p."""
        return Counts(self.trials_a - self.hits_a, self.trials_a, self.trials_b - self.hits_b, self.trials_b)


def log_growth(before: Counts, block: Counts, null: NullHypothesis) -> Numbers:
    """Return the logarithm of the factor by which a block multiplies the capital that bets against the null hypothesis.

    Args:
        before: all blocks before this one.
        block: this one. Its size mustn't depend on its own outcomes; it may on everything before.
        null: the null hypothesis.
    """
    hits, trials = before.hits_a + before.hits_b, before.trials_a + before.trials_b
    common = (hits + 0.5) / (trials + 1)
    rate_a = (before.hits_a + SHRINKAGE * common) / (before.trials_a + SHRINKAGE)
    rate_b = (before.hits_b + SHRINKAGE * common) / (before.trials_b + SHRINKAGE)
    null_b = _project(rate_a, rate_b, block, null)
    null_a = null.ratio * null_b + null.shift
    growth = (
        _log_likelihood_ratio(block.hits_a, rate_a, null_a)
        + _log_likelihood_ratio(block.trials_a - block.hits_a, 1 - rate_a, 1 - null_a)
        + _log_likelihood_ratio(block.hits_b, rate_b, null_b)
        + _log_likelihood_ratio(block.trials_b - block.hits_b, 1 - rate_b, 1 - null_b)
    )
    return np.where(rate_a > null.ratio * rate_b + null.shift, growth, 0.0)


def _log_likelihood_ratio(count: Numbers, rate: Numbers, null_rate: Numbers) -> Numbers:
    """Return count log(rate / null_rate), or 0 for a count of 0, which is no evidence, even at a null rate of 0."""
    return np.asarray(np.where(count > 0, count * np.log(rate / np.where(count > 0, null_rate, 1.0)), 0.0))


def _project(rate_a: Numbers, rate_b: Numbers, block: Counts, null: NullHypothesis) -> Numbers:
    """Return p_b of the boundary's point nearest to the rates, by bisection: the likelihood is concave along it."""
    weight_a, weight_b = block.trials_a, block.trials_b
    if null == NullHypothesis():
        total = weight_a + weight_b
        return np.where(total > 0, (weight_a * rate_a + weight_b * rate_b) / np.where(total > 0, total, 1), rate_b)
    low = np.full(np.shape(rate_b), max(0.0, -null.shift / null.ratio))
    high = np.full(np.shape(rate_b), min(1.0, (1 - null.shift) / null.ratio))
    for _ in range(_HALVINGS):
        b = (low + high) / 2
        a = null.ratio * b + null.shift
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = null.ratio * weight_a * (rate_a - a) / (a * (1 - a)) + weight_b * (rate_b - b) / (b * (1 - b))
        rising = slope > 0
        low, high = np.where(rising, b, low), np.where(rising, high, b)
    return np.asarray((low + high) / 2)
