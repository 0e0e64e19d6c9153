"""Is one rate above another? A test that may be looked at after every request.

The evidence is an e-process for two streams of yes and no (Turner, Ly & Grünwald 2024, "Generic E-variables for exact sequential k-sample
tests that allow for optional stopping"; margins as in Turner & Grünwald 2023, "Exact anytime-valid confidence intervals for contingency
tables and beyond"): a capital that starts at 1 and bets on what comes next. Under the null hypothesis its expectation never exceeds 1,
whatever the rates, and so the chance that it ever reaches 1 / alpha is at most alpha (Ville 1939): exactly, with any number of looks, at
rates of one in a thousand as well as at one in two.

The null hypothesis is p_a <= ratio p_b + shift. Before each block of requests the rates are estimated from the blocks before, as p^_a and
p^_b; their projection onto the null's border is (ratio q + shift, q) with the q that maximises

    n_a E log f(y; ratio q + shift) + n_b E log f(y; q),    y ~ p^_a and p^_b, f the Bernoulli likelihood

and the capital is multiplied by the block's likelihood ratio of (p^_a, p^_b) against it. If the estimates lie in the null there is no bet.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = NDArray[np.float64]

# How many requests the common rate weighs in the estimate of each stream's own: bets begin small.
SHRINKAGE = 100.0
_HALVINGS = 60  # of an interval no longer than 1: beyond double precision


@dataclass(frozen=True)
class Border:
    """The null hypothesis: p_a <= ratio p_b + shift. By default that a's rate isn't above b's."""

    ratio: float = 1.0
    shift: float = 0.0


@dataclass(frozen=True)
class Seen:
    """Successes in trials of the streams a and b, so far or in a block. Numbers, or arrays of one shape for several tests at once."""

    hits_a: Numbers
    trials_a: Numbers
    hits_b: Numbers
    trials_b: Numbers

    @classmethod
    def from_pairs(cls, a: tuple[int, int], b: tuple[int, int]) -> "Seen":
        """From (successes, trials) of a and of b."""
        return cls(*(np.float64(number) for number in (*a, *b)))  # type: ignore[arg-type]

    def misses(self) -> "Seen":
        """The same with success and failure changed round: p becomes 1 - p."""
        return Seen(self.trials_a - self.hits_a, self.trials_a, self.trials_b - self.hits_b, self.trials_b)

    def plus(self, more: "Seen") -> "Seen":
        """Both together."""
        return Seen(self.hits_a + more.hits_a, self.trials_a + more.trials_a, self.hits_b + more.hits_b, self.trials_b + more.trials_b)


def log_growth(before: Seen, block: Seen, border: Border) -> Numbers:
    """What a block adds to the logarithm of the capital that bets against p_a <= ratio p_b + shift.

    Args:
        before: all blocks before this one.
        block: this one. Its size mustn't depend on its own outcomes; it may on everything before.
        border: the null hypothesis.
    """
    hits, trials = before.hits_a + before.hits_b, before.trials_a + before.trials_b
    common = (hits + 0.5) / (trials + 1)
    rate_a = (before.hits_a + SHRINKAGE * common) / (before.trials_a + SHRINKAGE)
    rate_b = (before.hits_b + SHRINKAGE * common) / (before.trials_b + SHRINKAGE)
    null_b = _projected(rate_a, rate_b, block, border)
    null_a = border.ratio * null_b + border.shift
    growth = (
        _gain(block.hits_a, rate_a, null_a)
        + _gain(block.trials_a - block.hits_a, 1 - rate_a, 1 - null_a)
        + _gain(block.hits_b, rate_b, null_b)
        + _gain(block.trials_b - block.hits_b, 1 - rate_b, 1 - null_b)
    )
    return np.where(rate_a > border.ratio * rate_b + border.shift, growth, 0.0)


def _gain(count: Numbers, rate: Numbers, null: Numbers) -> Numbers:
    """count log(rate / null), 0 where the count is: a block without trials of a stream says nothing of its rate, wherever the border is."""
    return np.asarray(np.where(count > 0, count * np.log(rate / np.where(count > 0, null, 1.0)), 0.0))


def _projected(rate_a: Numbers, rate_b: Numbers, block: Seen, border: Border) -> Numbers:
    """The b of the border's point next to the rates, by halving: the likelihood is concave along the border."""
    weight_a, weight_b = block.trials_a, block.trials_b
    if border == Border():
        total = weight_a + weight_b
        return np.where(total > 0, (weight_a * rate_a + weight_b * rate_b) / np.where(total > 0, total, 1), rate_b)
    low = np.full(np.shape(rate_b), max(0.0, -border.shift / border.ratio))
    high = np.full(np.shape(rate_b), min(1.0, (1 - border.shift) / border.ratio))
    for _ in range(_HALVINGS):
        b = (low + high) / 2
        a = border.ratio * b + border.shift
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = border.ratio * weight_a * (rate_a - a) / (a * (1 - a)) + weight_b * (rate_b - b) / (b * (1 - b))
        rising = slope > 0
        low, high = np.where(rising, b, low), np.where(rising, high, b)
    return np.asarray((low + high) / 2)
