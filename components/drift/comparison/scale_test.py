"""Test whether all values of a column of candidates are multiplied by one factor, as prices are that rise.

Few items make up the rows, so a mean moves with what is popular; but an item keeps its value. Within a group of items a
window's values are therefore those of the reference, however often each is shown, unless all are multiplied. The test is
of the log likelihood of the window's rows under the reference's counts of their group, moved by a factor, above that of
the same counts unmoved: a mean over groups, which are independent, and by Student's t above a quarter of a nat. Where
items come and go, a part of them is on sale or each has a value that moves, as counts do, one factor gains less.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from components.drift.sketch.number_sketch import MAGNITUDES, bin_values

FACTORS = np.exp(np.arange(-16, 17) * 0.025)
"""From 0.67 to 1.49: what is further off shows without."""

_FAR = 0.02  # logarithm from which a factor isn't 1
_OTHERWISE = 0.1  # share of rows whose value is drawn from all groups: new items, and values that changed
_NOTHING = 1e-6
_LEAST_GAIN = 0.25  # nats a row: of values that items keep a factor gains 1 and more, of counts that move for each item far less
_RECOVERED = 0.5  # of what the window's rows lose against the reference's own

Floats = NDArray[np.float64]

_POSITIVE = np.arange(1, MAGNITUDES)
_LOGS = np.log(bin_values()[_POSITIVE])
_EDGES = np.append((_LOGS - np.diff(_LOGS, prepend=_LOGS[0] - 0.03) / 2), _LOGS[-1] + 0.015)


def scale_change(reference: Floats, window: Floats) -> tuple[float | None, float]:
    """Return the factor that explains the window best, None if that is 1, and the p value of the test.

    Args:
        reference: counts [G, BINS] of values by group of items.
        window: likewise.
    """
    old, new, edges = _in_range(reference, window)
    if not old.sum() or not new.sum():
        return None, 1.0
    unmoved, rows = _log_likelihoods(old, new, edges, 0.0), new.sum(axis=1)
    lost = float(_log_likelihoods(old, old, edges, 0.0).sum() / old.sum() - unmoved.sum() / rows.sum())
    if lost <= _LEAST_GAIN:  # most often: nothing is there to gain
        return None, 1.0
    gains = {shift: _log_likelihoods(old, new, edges, shift) - unmoved for shift in np.log(FACTORS) if abs(shift) > _FAR}
    best = max(gains, key=lambda shift: float(gains[shift].sum()))
    mean = gains[best].sum() / rows.sum()
    groups = int((rows > 0).sum())
    error = float(np.sqrt(groups / max(groups - 1, 1) * ((gains[best] - mean * rows) ** 2).sum())) / rows.sum()
    if mean <= max(_LEAST_GAIN, _RECOVERED * lost) or groups < 2:
        return None, 1.0
    p = float(stats.t.sf((mean - _LEAST_GAIN) / error, groups - 1)) if error else 0.0
    return float(np.exp(best)), min(1.0, p * len(gains))


def contradicts(reference: Floats, window: Floats, factor: float) -> bool:
    """Return whether items have kept their values, so that a factor by which the mean moved isn't one of all values."""
    old, new, edges = _in_range(reference, window)
    if not FACTORS[0] <= factor <= FACTORS[-1] or not old.sum() or not new.sum():
        return False
    moved, unmoved = (float(_log_likelihoods(old, new, edges, shift).sum()) for shift in (np.log(factor), 0.0))
    return moved < unmoved


def _in_range(reference: Floats, window: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the counts of positive values of both, in the bins that either has and factors may move them to, and their edges."""
    old, new = reference[:, _POSITIVE], window[:, _POSITIVE]
    used = np.flatnonzero(old.any(axis=0) | new.any(axis=0))
    margin = int(np.ceil(abs(np.log(FACTORS[0])) / 0.02))
    first, last = (max(used[0] - margin, 0), min(used[-1] + margin, len(_POSITIVE) - 1) + 1) if len(used) else (0, 1)
    return old[:, first:last], new[:, first:last], _EDGES[first : last + 1]


def _log_likelihoods(old: Floats, new: Floats, edges: Floats, shift: float) -> Floats:
    """Return each group's log likelihood [G] of its rows `new` [G, B] under its counts `old` [G, B] moved by `shift`."""
    below = np.concatenate([np.zeros((len(old), 1)), np.cumsum(old, axis=1)], axis=1)
    at = np.interp(edges - shift, edges, np.arange(len(edges)))
    left = np.minimum(at.astype(np.int64), len(edges) - 2)
    moved = np.diff(below[:, left] + (at - left) * (below[:, left + 1] - below[:, left]), axis=1)
    pooled = moved.sum(axis=0) / max(moved.sum(), 1.0)
    own = moved / np.maximum(moved.sum(axis=1, keepdims=True), 1.0)
    likelihoods: Floats = (new * np.log((1 - _OTHERWISE) * own + _OTHERWISE * pooled + _NOTHING)).sum(axis=1)
    return likelihoods
