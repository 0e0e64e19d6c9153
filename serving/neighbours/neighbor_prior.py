"""What neighbours lend a product of which little is known: the mean of their rates, in the place of the prior."""

import numpy as np
from numpy.typing import NDArray

from serving.neighbours.nearest import Neighbours

Floats = NDArray[np.float32]


def lent_rates(rates: Floats, neighbours: Neighbours, *, prior: float) -> Floats:
    """The neighbours' mean, weighted by their cosines; one that is at a right angle or beyond lends nothing.

    Args:
        rates: [N] or [N, F] smoothed rates of those that may be neighbours.
        neighbours: of Q products.
        prior: what a product gets to which none is alike.

    Returns:
        [Q] or [Q, F].
    """
    weights = np.maximum(neighbours.similarity.astype(np.float64), 0)
    total = weights.sum(axis=1)
    share = weights / np.where(total > 0, total, 1)[:, None]
    mean = np.einsum("qk,qk...->q...", share, rates[neighbours.rows].astype(np.float64))
    alone = (total == 0).reshape((-1,) + (1,) * (rates.ndim - 1))
    return np.where(alone, prior, mean).astype(np.float32)


def on_evidence(rates: Floats, trials: Floats, *, lent: Floats, prior: float, strength: float) -> Floats:
    """Smoothed rates as they would be with the lent rate for a prior: what a product has seen itself takes over bit by bit.

    From (n + prior strength) / (d + strength) to (n + lent strength) / (d + strength); see `components.state.features.smoothed_rate`.

    Args:
        rates: smoothed by the prior.
        trials: d, what they are divided by; 0 for a product that was never shown.
        lent: of the same shape as `rates`.
        prior: the feature's `prior`.
        strength: the feature's `strength`.
    """
    weight = np.float32(strength)
    return (rates + (lent - np.float32(prior)) * weight / (trials + weight)).astype(np.float32)
