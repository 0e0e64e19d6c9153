"""Measure how far two distributions are apart: TFDV's distances, so that its thresholds hold here too.

They are computed from the sketches because TFDV's histograms, ten bins of each window's own, don't add up over windows.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon

Floats = NDArray[np.float64]

CONSTANT, VARIED = 0.99, 0.9
"""Share of one value from which a window tells nothing, and below which its reference did."""


def jensen_shannon(reference: Floats, window: Floats) -> float:
    """Return the Jensen-Shannon divergence of two histograms [C], in bits: 0 to 1."""
    return float(jensenshannon(reference, window, base=2) ** 2)


def l_infinity(reference: Floats, window: Floats) -> float:
    """Return the greatest difference of a cell's share between two histograms [C]: 0 to 1."""
    return float(np.max(np.abs(reference / reference.sum() - window / window.sum())))


def constant_cell(reference: Floats, window: Floats) -> int | None:
    """Return the cell that nearly all of the window is in and the reference isn't, of two histograms [C]."""
    top = int(np.argmax(window))
    return top if window[top] >= CONSTANT * window.sum() and reference[top] < VARIED * reference.sum() else None
