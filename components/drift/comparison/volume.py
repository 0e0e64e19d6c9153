"""Compare when requests came in two windows: how many, and at which hours of the day."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

_DAY = 24  # hours
MIN_DAYS = 4  # of the reference, or what days differ by isn't known
_MIN_REQUESTS = 240  # of the window, ten an hour of the day

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Volume:
    """Requests of a window against those expected of its hours.

    Attributes:
        requests: in the window.
        expected: the reference's mean at the same hours of the day, over the window's hours.
        p: of the test whether days of the reference differ by as much.
        shift_hours: by how many hours the day's course is moved: above 0 if it comes later; 0 if it isn't surely moved.
    """

    requests: int
    expected: float
    p: float
    shift_hours: int

    @property
    def ratio(self) -> float:
        """Requests against those expected."""
        return self.requests / self.expected


def compare_volume(reference: Counter[int], window: Counter[int]) -> Volume | None:
    """Compare requests by hour since 1970; None where the reference has too few whole days.

    A day's requests vary by a factor, so the test is Student's t on the logarithm of daily sums, as a prediction
    interval for the window's days.
    """
    days = _by_day(reference)
    if len(days) < MIN_DAYS or not window:
        return None
    profile = days.mean(axis=0)
    first, last = min(window), max(window)
    expected = float(sum(profile[hour % _DAY] for hour in range(first, last + 1)))
    requests = sum(window.values())
    logs = np.log(np.maximum(days.sum(axis=1), 0.5))
    span = max((last - first + 1) / _DAY, 1 / _DAY)
    error = np.sqrt(np.var(logs, ddof=1) * (1 / span + 1 / len(days)) + 1 / max(requests, 1))
    p = 2 * float(stats.t.sf(abs(np.log(max(requests, 0.5) / expected)) / error, len(days) - 1))
    return Volume(requests, expected, p, _shift(days, window))


def _by_day(hours: Counter[int]) -> Floats:
    """Return requests [D, 24] of the days between the first and the last, which may be cut; of all if there are few."""
    first, last = min(hours) // _DAY, max(hours) // _DAY
    counts = np.array([[hours.get(day * _DAY + hour, 0) for hour in range(_DAY)] for day in range(first, last + 1)], float)
    return counts[1:-1] if len(counts) > MIN_DAYS + 1 else counts


def _shift(days: Floats, window: Counter[int]) -> int:
    """Return the rotation of the day that explains the window best, where it beats none by more than days differ by."""
    counts = np.bincount([hour % _DAY for hour in window], weights=list(window.values()), minlength=_DAY).astype(float)
    if counts.sum() < _MIN_REQUESTS or max(window) - min(window) < _DAY - 1:
        return 0
    gains = _gains(counts, _course(days))
    # What the best rotation gains of each day of the reference, which isn't rotated, against the other days; a longer
    # window gains more by chance.
    by_chance = [float(np.max(_gains(day, _course(np.delete(days, i, axis=0))))) for i, day in enumerate(days)]
    usual = max(by_chance) * max(1.0, counts.sum() / days.sum(axis=1).mean())
    best = int(np.argmax(gains))
    if gains[best] <= 2 * usual + stats.chi2.isf(1e-3 / _DAY, 1):
        return 0
    return best if best <= _DAY // 2 else best - _DAY


def _course(days: Floats) -> Floats:
    """Return the share [24] of each hour in days [D, 24]; an hour without requests counts as having half of one."""
    hours = np.maximum(days.sum(axis=0), 0.5)
    shares: Floats = hours / hours.sum()
    return shares


def _gains(counts: Floats, shares: Floats) -> Floats:
    """Return by rotation [24] twice the log likelihood of the counts above that without rotation."""
    likelihoods = np.array([counts @ np.log(np.roll(shares, shift)) for shift in range(_DAY)])
    gains: Floats = 2 * (likelihoods - likelihoods[0])
    return gains
