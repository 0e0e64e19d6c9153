"""Define how fast a group sequential test may spend its error rate: alpha-spending functions (Lan & DeMets 1983).

Both are of one side's alpha, as in the usual software (gsDesign, ldbounds, SeqBounds.jl): a two-sided test spends half on each side.
"""

from collections.abc import Mapping
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

Numbers: TypeAlias = NDArray[np.float64]
Spending = Literal["obrien-fleming", "pocock"]


class SpendingFunction(Protocol):
    """Return the cumulative error spent at shares [K] of the planned information; 0 at 0, alpha from 1 on."""

    def __call__(self, shares: Numbers, alpha: float) -> Numbers:
        """Return [K]."""


def obrien_fleming(shares: Numbers, alpha: float) -> Numbers:
    """Return 2 - 2 Phi(z_{alpha / 2} / sqrt(share)): hardly anything early, so that the last look costs little power."""
    return np.asarray(2 * norm.sf(norm.isf(alpha / 2) / np.sqrt(np.minimum(shares, 1.0))))


def pocock(shares: Numbers, alpha: float) -> Numbers:
    """Return alpha log(1 + (e - 1) share): about the same critical value at all looks, for stopping early."""
    return np.asarray(alpha * np.log1p((np.e - 1) * np.minimum(shares, 1.0)))


SPENDING: Mapping[Spending, SpendingFunction] = {"obrien-fleming": obrien_fleming, "pocock": pocock}
