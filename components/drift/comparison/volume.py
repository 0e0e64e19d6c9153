"""Compare when requests came in two windows: how many, and at which hours of the day."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from components.drift.comparison.clustered_tests import DAYS_ALPHA

_DAY = 24  # hours
_WEEK = 7  # days
MIN_DAYS = 4  # of the reference, or what days differ by isn't known
_MIN_REQUESTS = 240  # of the window, ten an hour of the day

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Volume:
    """Requests of a window, or of its last days if those are further off, against those expected of its hours.

    Attributes:
        requests: in those days.
        expected: the reference's mean at the same hours of the day, on the same weekdays where it has each twice.
        days: how many of the window's last days they are; 0 if they are all.
        p: of the test whether days of the reference differ by as much.
        shift_hours: the rotation that explains the day's course best, in hours: above 0 if it comes later.
        course_p: of the test whether it explains it better than none by more than on days of the reference.
    """

    requests: int
    expected: float
    days: int
    p: float
    shift_hours: int
    course_p: float

    @property
    def ratio(self) -> float:
        """Requests against those expected."""
        return self.requests / self.expected


@dataclass(frozen=True)
class _Days:
    """Whole days of a reference: requests [D, 24], which weekday each is, whether weekdays are told apart."""

    counts: Floats
    weekdays: NDArray[np.int64]
    by_weekday: bool

    def level(self, weekday: int) -> float:
        """The mean of a day's requests."""
        rows = self.counts[self.weekdays == weekday] if self.by_weekday else self.counts
        return float(rows.sum(axis=1).mean())

    def variance(self) -> tuple[float, int]:
        """The variance of the logarithm of a day's requests, and its degrees of freedom."""
        logs = np.log(np.maximum(self.counts.sum(axis=1), 0.5))
        means = [logs[self.weekdays == each].mean() if self.by_weekday else logs.mean() for each in self.weekdays]
        freedom = len(logs) - (_WEEK if self.by_weekday else 1)
        return float(((logs - means) ** 2).sum() / freedom), freedom


def compare_volume(reference: Counter[int], window: Counter[int]) -> Volume | None:
    """Compare requests by hour since 1970; None where the reference has too few whole days.

    A day's requests vary by a factor, so the test is Student's t on the logarithm of daily sums, as a prediction
    interval for the window's days. It is made of all of the window and of its last half, quarter and so on, down to a
    day, together by Bonferroni.
    """
    days = _by_day(reference)
    if len(days.counts) < MIN_DAYS or not window:
        return None
    first, last = min(window), max(window)
    spans = [0]
    while (last + 1 - first) // _DAY > 1 and (shorter := (spans[-1] or (last + 1 - first) // _DAY) // 2):
        spans.append(shorter)
    tests = [(*_test(days, window, first if not span else last // _DAY * _DAY - (span - 1) * _DAY, last), span) for span in spans]
    requests, expected, p, span = min(tests, key=lambda each: each[2])
    shift, course_p = _shift(days.counts, window)
    return Volume(requests, expected, span, min(1.0, p * len(tests)), shift, course_p)


def _test(days: _Days, window: Counter[int], first: int, last: int) -> tuple[int, float, float]:
    """Return the requests from one hour to another, those expected, and the p value of their difference."""
    course = _course(days.counts)
    hours = range(first, last + 1)
    weekdays = {hour // _DAY % _WEEK for hour in hours}
    levels = {weekday: days.level(weekday) for weekday in weekdays}
    expected = float(sum(levels[hour // _DAY % _WEEK] * course[hour % _DAY] for hour in hours))
    requests = sum(window[hour] for hour in hours)
    variance, freedom = days.variance()
    like = len(days.counts) * (len(weekdays) / _WEEK if days.by_weekday else 1.0)
    error = np.sqrt(variance * (_DAY / len(hours) + 1 / like) + 1 / max(requests, 1))
    return requests, expected, 2 * float(stats.t.sf(abs(np.log(max(requests, 0.5) / expected)) / error, freedom))


def _by_day(hours: Counter[int]) -> _Days:
    """Return the days between the first and the last, which may be cut; all if there are few."""
    first, last = min(hours) // _DAY, max(hours) // _DAY
    counts = np.array([[hours.get(day * _DAY + hour, 0) for hour in range(_DAY)] for day in range(first, last + 1)], float)
    numbers = np.arange(first, last + 1)
    if len(counts) > MIN_DAYS + 1:
        counts, numbers = counts[1:-1], numbers[1:-1]
    return _Days(counts, numbers % _WEEK, by_weekday=len(counts) >= 2 * _WEEK)


def _shift(days: Floats, window: Counter[int]) -> tuple[int, float]:
    """Return the rotation of the day that explains the window best, and how surely it does better than none.

    What a rotation gains in log likelihood is a mean over requests. Its variance is that of independent requests times
    the dispersion of the reference's days (McCullagh and Nelder 1989, section 4.5), as requests come in visits; where
    days surely differ by more in just this direction, as weekends may, it is the variance between days. The test is
    Student's t, by Bonferroni over the rotations.
    """
    counts = np.bincount([hour % _DAY for hour in window], weights=list(window.values()), minlength=_DAY).astype(float)
    days = days[days.sum(axis=1) > 0]
    if counts.sum() < _MIN_REQUESTS or max(window) - min(window) < _DAY - 1 or len(days) < MIN_DAYS:
        return 0, 1.0
    shares, sizes = _course(days), days.sum(axis=1)
    gains = _gains(counts, shares)
    best = int(np.argmax(gains))
    if best == 0:
        return 0, 1.0
    ratio = np.log(np.roll(shares, best) / shares)
    usual = np.array([_gains(day, _course(np.delete(days, i, axis=0)))[best] for i, day in enumerate(days)])
    freedom = len(days) - 1
    expected = sizes[:, None] * shares
    dispersion = max(float(((days - expected) ** 2 / expected).sum()) / (freedom * (_DAY - 1)), 1.0)
    per_request = dispersion * float(shares @ ratio**2 - (shares @ ratio) ** 2)
    between = float(((usual - np.average(usual, weights=sizes)) ** 2 * sizes).sum()) / freedom
    if stats.chi2.sf(freedom * between / per_request, freedom) < DAYS_ALPHA:
        per_request = between
    else:
        freedom *= _DAY - 1
    error = np.sqrt(per_request * (1 / counts.sum() + 1 / sizes.sum()))
    p = float(stats.t.sf((gains[best] - np.average(usual, weights=sizes)) / error, freedom))
    return best if best <= _DAY // 2 else best - _DAY, min(1.0, (_DAY - 1) * p)


def _course(days: Floats) -> Floats:
    """Return the share [24] of each hour in days [D, 24]; an hour without requests counts as having half of one."""
    hours = np.maximum(days.sum(axis=0), 0.5)
    shares: Floats = hours / hours.sum()
    return shares


def _gains(counts: Floats, shares: Floats) -> Floats:
    """Return by rotation [24] the log likelihood a request above that without rotation."""
    likelihoods = np.array([counts @ np.log(np.roll(shares, shift)) for shift in range(_DAY)]) / counts.sum()
    gains: Floats = likelihoods - likelihoods[0]
    return gains
