"""Test whether two windows have one distribution, where rows of a shopper depend on each other and days differ.

A window is counts [G, C] of G groups of shoppers in C cells. A statistic is a mean of a score over rows, hence a ratio
of sums over groups; its variance comes from the groups (linearisation, Cochran 1977, section 6), which are independent.
A shopper is in the same group in both windows, so groups are paired. To this comes what days differ by beyond that
(DerSimonian and Laird, Controlled Clinical Trials 1986, method of moments), estimated on the days of the reference:
a Monday isn't a Sunday, and that alone is no drift. Nor is what the reference's days move by already, as counts since
ever do: where they surely follow a line, the window is compared with the line continued to its days, with the error of
its slope.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]

SLOPE_ALPHA = 0.01
"""Of the test whether the reference's days follow a line."""

DAYS_ALPHA = 0.2
"""Of the test whether they differ by more than their rows do."""

MIN_DAYS = 5
"""Of the reference, from which what days differ by is estimated; with fewer it is taken for nothing."""


LATE = 3
"""A window's last days are one in so many: what began within it shows there."""


@dataclass(frozen=True)
class Windows:
    """Counts of a reference and a window in the same C cells.

    Attributes:
        reference: [G, C] by group of shoppers.
        window: [G, C].
        by_day: [D, C] the reference by day.
        days: [D] those days, in days since 1970.
        window_days: [W] the window's.
    """

    reference: Floats
    window: Floats
    by_day: Floats
    days: NDArray[np.int64]
    window_days: NDArray[np.int64]

    def mapped(self, cells: Callable[[Floats], Floats]) -> "Windows":
        """Return the windows with other cells, which `cells` makes of counts [N, C]."""
        return replace(self, reference=cells(self.reference), window=cells(self.window), by_day=cells(self.by_day))


@dataclass(frozen=True)
class Ratios:
    """Sums [., 2] whose ratio is the statistic, the first over the second; see `Windows`."""

    reference: Floats  # [G, 2]
    window: Floats  # [G, 2]
    by_day: Floats  # [D, 2]
    days: NDArray[np.int64]
    window_days: NDArray[np.int64]


@dataclass(frozen=True)
class _Days:
    """What days add to the change of S means: by their line, and the covariance around it, with its freedom."""

    line: Floats  # [S]
    covariance: Floats  # [S, S]
    freedom: int


@dataclass(frozen=True)
class Change:
    """A mean in the window against the reference's, continued to the window's days, with the standard error of the
    difference and its two-sided p value."""

    reference: float
    window: float
    error: float
    p: float

    @property
    def difference(self) -> float:
        """The window's minus the reference's."""
        return self.window - self.reference


def last_days(days: Iterable[int]) -> list[int]:
    """Return the last days of a window; none where it has but one."""
    ordered = sorted(days)
    return ordered[-max(len(ordered) // LATE, 1) :] if len(ordered) > 1 else []


def mean_change(windows: Windows, scores: Floats) -> Change:
    """Test for a change of the mean of `scores` [C] over rows, by Student's t on groups and days."""
    reference, own = _means(windows.reference, scores[:, None])
    window, others = _means(windows.window, scores[:, None])
    days = _days(windows, scores[:, None])
    # A line that leaves what a mean of scores can be has ended there.
    line = np.clip(reference + days.line, scores.min(), scores.max()) - reference
    return _change(float(reference[0]), float(window[0]), others - own, replace(days, line=line))


def ratio_change(ratios: Ratios) -> Change | None:
    """Test for a change of a ratio of sums; None where one of them is over nothing.

    What days differ by includes what they do for their shoppers alone, which isn't known here: the test is on the safe
    side.
    """
    totals = ratios.reference.sum(axis=0), ratios.window.sum(axis=0)
    if not totals[0][1] or not totals[1][1]:
        return None
    means = [float(total[0] / total[1]) for total in totals]
    influences = [
        ((sums[:, 0] - mean * sums[:, 1]) / total[1])[:, None]
        for sums, mean, total in zip((ratios.reference, ratios.window), means, totals, strict=True)
    ]
    used = ratios.by_day[:, 1] > 0
    sizes = ratios.by_day[used, 1]
    line = _line(ratios.by_day[used, :1] / sizes[:, None], ratios.days[used], sizes, ratios.window_days, of_rows=np.zeros((1, 1)))
    return _change(means[0], means[1], influences[1] - influences[0], line)


def _change(reference: float, window: float, influences: Floats, days: _Days) -> Change:
    """Test a change by the influences [G, 1] of groups on it, and by days.

    The degrees of freedom are Satterthwaite's (Biometrics Bulletin 1946) for the sum of the two variances.
    """
    from_groups = float(_covariance(influences)[0, 0])
    variance = from_groups + float(days.covariance[0, 0])
    expected = reference + float(days.line[0])
    if variance <= 0:
        return Change(expected, window, 0.0, 1.0 if expected == window else 0.0)
    error = float(np.sqrt(variance))
    freedom = _freedom(from_groups, variance, len(influences), days.freedom)
    return Change(expected, window, error, 2 * float(stats.t.sf(abs(window - expected) / error, freedom)))


def mean_error(counts: Floats, scores: Floats) -> float:
    """Return the standard error of the mean of `scores` [C] over the rows of counts [G, C]."""
    _, influences = _means(counts, scores[:, None])
    return float(np.sqrt(_covariance(influences)[0, 0]))


def shares_change(windows: Windows) -> float:
    """Return the p value of a change of the cells' shares: the chi-square test of a 2 x C contingency table.

    It has the second-order correction of Rao and Scott (Annals of Statistics 1984) for clustered rows in the F form of
    Thomas and Rao (1987); where rows are independent it is Pearson's.
    """
    cells = windows.reference.shape[1]
    identity = np.eye(cells)
    reference, own = _means(windows.reference, identity)
    window, others = _means(windows.window, identity)
    days = _days(windows, identity)
    pooled = windows.reference.sum(axis=0) + windows.window.sum(axis=0)
    weights = 1 / np.sqrt(np.maximum(pooled / pooled.sum(), 1e-12))
    from_groups = _covariance(others - own) * np.outer(weights, weights)
    covariance = from_groups + days.covariance * np.outer(weights, weights)
    trace, squares = float(np.trace(covariance)), float((covariance**2).sum())
    statistic = float((((window - reference - days.line) * weights) ** 2).sum())
    if trace <= 0:
        return 1.0 if statistic == 0 else 0.0
    freedom = trace**2 / squares
    of_trace = _freedom(float(np.trace(from_groups)), trace, len(own), days.freedom)
    return float(stats.f.sf(statistic / trace, freedom, freedom * of_trace))


def _means(counts: Floats, scores: Floats) -> tuple[Floats, Floats]:
    """Return means [S] of scores [C, S] over rows, and each group's influence [G, S] on them."""
    total = counts.sum()
    means = counts.sum(axis=0) @ scores / total
    return means, (counts @ scores - counts.sum(axis=1, keepdims=True) * means) / total


def _freedom(from_groups: float, total: float, groups: int, freedom_of_days: int) -> float:
    """Return Satterthwaite's degrees of freedom of a variance that comes from groups of shoppers and the rest from days."""
    from_days = total - from_groups
    return float(total**2 / (from_groups**2 / (groups - 1) + (from_days**2 / freedom_of_days if from_days > 0 else 0.0)))


def _covariance(influences: Floats) -> Floats:
    groups = len(influences)
    centered = influences - influences.mean(axis=0)
    covariance: Floats = groups / (groups - 1) * centered.T @ centered
    return covariance


def _days(windows: Windows, scores: Floats) -> _Days:
    """Fit the line of the reference's days, and what days differ from it by, of the means of scores [C, S].

    What they differ by for their rows alone is taken off as if rows were independent, the least it can be: how much of
    a day's rows depend on each other isn't known.
    """
    rows = windows.by_day.sum(axis=1)
    by_day, days, rows = windows.by_day[rows > 0], windows.days[rows > 0], rows[rows > 0]
    if not len(days):
        return _line(np.zeros((0, scores.shape[1])), days, rows, windows.window_days, of_rows=np.zeros((scores.shape[1],) * 2))
    shares = by_day.sum(axis=0) / rows.sum()
    centered = scores - shares @ scores
    of_rows = (centered * shares[:, None]).T @ centered * float(np.mean(1 / rows))
    return _line(by_day @ scores / rows[:, None], days, rows, windows.window_days, of_rows=of_rows)


def _line(means: Floats, days: NDArray[np.int64], rows: Floats, window_days: NDArray[np.int64], *, of_rows: Floats) -> _Days:
    """Fit a line to the means [D, S] of days [D] with rows [D] by least squares, and continue it to the window's days."""
    size = means.shape[1]
    if len(days) < MIN_DAYS:
        return _Days(np.zeros(size), np.zeros((size, size)), 1)
    offsets = days - days.mean()
    spread = float((offsets**2).sum())
    slope = offsets @ means / spread
    level = means - means.mean(axis=0)
    residuals = level - offsets[:, None] * slope
    around, freedom = residuals.T @ residuals / (len(days) - 2), len(days) - 2
    of_line = np.zeros((size, size))
    if _moves(slope, spread, around, freedom):
        ahead = float(np.mean(window_days)) - float(
            days @ rows / rows.sum()
        )  # from the middle of the reference's rows, whose mean is known
        slope, of_line = slope * ahead, around * ahead**2 / spread
    else:
        slope, around, freedom = np.zeros(size), level.T @ level / (len(days) - 1), len(days) - 1
    between = np.zeros((size, size))
    if _differ(around, of_rows, freedom):
        sizes, directions = np.linalg.eigh(around - of_rows)
        between = (directions * np.maximum(sizes, 0)) @ directions.T
    return _Days(slope, between * (1 / len(window_days) + 1 / len(days)) + of_line, freedom)


def _differ(around: Floats, of_rows: Floats, freedom: int) -> bool:
    """Test whether days differ by more than their rows do by chance, at a level at which little is overlooked."""
    by_chance = float(np.trace(of_rows))
    if by_chance <= 0:
        return True
    dimensions = by_chance**2 / float((of_rows**2).sum())
    return bool(stats.chi2.sf(float(np.trace(around)) / by_chance * dimensions * freedom, dimensions * freedom) < DAYS_ALPHA)


def _moves(slope: Floats, spread: float, around: Floats, freedom: int) -> bool:
    """Test whether days follow a line at all: continuing one that they don't costs most of the power."""
    trace = float(np.trace(around))
    if trace <= 0:
        return bool((slope != 0).any())
    dimensions = trace**2 / float((around**2).sum())
    return bool(stats.f.sf(float((slope**2).sum()) * spread / trace, dimensions, dimensions * freedom) < SLOPE_ALPHA)
