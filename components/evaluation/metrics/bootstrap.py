"""Estimate standard errors of metrics by the Poisson bootstrap over shoppers.

Each of `REPLICATES` replicates counts every shopper a Poisson(1) number of times (Hanley and MacGibbon 2006; Chamandy
et al. 2012, "Estimating uncertainty for massive data streams"). The number comes from a hash of shopper and replicate:
a shopper's requests stay together wherever they lie, sums over blocks can be added in any order, two models see the
same replicates, and every run draws the same. Shoppers are drawn, as one shopper's requests are correlated.

From the replicates only their standard deviation is taken, the standard error: 200 suffice for it where percentiles
need thousands (Efron and Tibshirani 1993, section 6.4). `intervals` makes intervals of it.
"""

from math import exp, factorial

import numpy as np
from numpy.typing import NDArray

REPLICATES = 200
CONFIDENCE_95 = 1.96

_DRAWS_A_HASH = 4  # of 16 bits each
_COUNTS = np.searchsorted(np.cumsum([exp(-1) / factorial(n) for n in range(12)]), (np.arange(2**16) + 0.5) / 2**16).astype(np.uint8)


def poisson_counts(users: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Return how often each replicate counts a shopper, [R, REPLICATES], by the hash of the shopper [R]."""
    distinct, which = np.unique(users, return_inverse=True)
    number = np.arange(1, REPLICATES // _DRAWS_A_HASH + 1, dtype=np.uint64)
    draws = _mixed(distinct[:, None] + number * np.uint64(0x9E3779B97F4A7C15)).astype("<u8").view("<u2")
    counts: NDArray[np.uint8] = _COUNTS[draws][which]
    return counts


def standard_error(replicates: NDArray[np.float64]) -> float:
    """Return the standard deviation over the replicates [REPLICATES] that are defined; NaN if fewer than half are."""
    defined = replicates[np.isfinite(replicates)]
    return float(np.std(defined, ddof=1)) if len(defined) > REPLICATES // 2 else float("nan")


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix the bits by the finaliser of SplitMix64 (Steele et al. 2014): each affects every bit of the result."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))
