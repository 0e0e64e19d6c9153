"""Compare a column of numbers in two windows: distribution, missing values, and the marks of faults."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from components.drift.comparison.clustered_tests import Change, Windows, last_days, mean_change, mean_error, shares_change
from components.drift.comparison.effects import jensen_shannon
from components.drift.comparison.number_marks import NumberMarks, number_marks
from components.drift.comparison.scale_test import contradicts, scale_change
from components.drift.sketch.number_sketch import BINS, MISSING, NumberSketch, ascending_bins, bin_values

CELLS = 12
SURELY = 0.001
"""p value of the test of one factor from which the factor is named for the change."""

Floats = NDArray[np.float64]
_ORDER = ascending_bins()
_VALUES = bin_values()[_ORDER]


@dataclass(frozen=True, kw_only=True)
class NumberComparison:
    """What a column's two windows differ by.

    Attributes:
        missing: the share of missing values.
        p: of the test whether the distributions are one: Bonferroni's over location, spread and shares of cells, and, of
            candidates, over one factor of all values.
        effect: Jensen-Shannon divergence in bits.
        superiority: probability that a value of the window is above one of the reference, ties by half: 0.5 if equal.
        median: of the reference and of the window; NaN where there are no values.
        marks: of faults, in the whole window.
        late: in its last days.
        cells: their edges [C + 1], and shares [C] of both in them, for a plot.
    """

    missing: Change
    p: float
    effect: float
    superiority: float
    median: tuple[float, float]
    marks: NumberMarks
    late: NumberMarks
    cells: tuple[Floats, Floats, Floats]


def compare_numbers(reference: NumberSketch, window: NumberSketch) -> NumberComparison:
    """Compare two sketches of a column."""
    windows = _windows(reference, window)
    groupings = [windows, *_by_items(windows, reference, window)]
    present = np.array([0.0, 1.0])
    missing = max((mean_change(each.mapped(_presence), present) for each in groupings), key=lambda change: change.p)
    old, new = (counts.sum(axis=0)[_ORDER] for counts in (windows.reference, windows.window))
    median = reference.quantile(0.5), window.quantile(0.5)
    if not old.sum() or not new.sum():
        empty = np.zeros(0)
        return NumberComparison(
            missing=missing,
            p=1.0,
            effect=0.0,
            superiority=0.5,
            median=median,
            marks=NumberMarks(),
            late=NumberMarks(),
            cells=(empty, empty, empty),
        )
    ranks, starts = _mid_ranks(old), _cells(old)
    shares = np.add.reduceat(old, starts) / old.sum(), np.add.reduceat(new, starts) / new.sum()
    error = mean_error(windows.window[:, _ORDER], ranks)
    last = sum((window.by_day[day][_ORDER].astype(float) for day in last_days(window.by_day)), np.zeros(BINS))
    edges = np.append(_VALUES[starts], _VALUES[np.flatnonzero(old + new)[-1]])
    p = max(_p_value(each.mapped(lambda counts: counts[:, _ORDER]), ranks, starts) for each in groupings)
    marks = number_marks(old, new, rank_error=error)
    if len(groupings) > 1:
        factor, of_factor = scale_change(groupings[1].reference, groupings[1].window)
        p = min(1.0, 4 / 3 * p, 4 * of_factor)
        if of_factor < SURELY:
            marks = replace(marks, factor=factor, part=1.0, residue=0.0)
        elif marks.factor is not None and contradicts(groupings[1].reference, groupings[1].window, marks.factor):
            marks = replace(marks, factor=None, part=1.0, residue=1.0)
    return NumberComparison(
        missing=missing,
        p=p,
        effect=jensen_shannon(*shares),
        superiority=float(new @ ranks / new.sum()),
        median=median,
        marks=marks,
        late=number_marks(old, last, rank_error=error * float(np.sqrt(new.sum() / max(last.sum(), 1)))),
        cells=(edges, *shares),
    )


def _p_value(fine: Windows, ranks: Floats, starts: NDArray[np.int64]) -> float:
    """Return the p value of a change of location, spread or shares, by Bonferroni over the three."""
    coarse = fine.mapped(lambda counts: np.add.reduceat(counts, starts, axis=1))
    spread = 4 * (ranks - 0.5) ** 2
    return min(1.0, 3 * min(mean_change(fine, ranks).p, mean_change(fine, spread).p, shares_change(coarse)))


def _by_items(windows: Windows, reference: NumberSketch, window: NumberSketch) -> list[Windows]:
    """Return the windows by groups of items, of a column of candidates: a change must be sure by either grouping."""
    if reference.by_items is None or window.by_items is None:
        return []
    return [replace(windows, reference=reference.by_items.astype(float), window=window.by_items.astype(float))]


def _presence(counts: Floats) -> Floats:
    """Return the two cells present and missing."""
    return np.stack([counts[:, :MISSING].sum(axis=1), counts[:, MISSING]], axis=1)


def _windows(reference: NumberSketch, window: NumberSketch) -> Windows:
    return Windows(
        reference.counts.astype(float),
        window.counts.astype(float),
        np.stack(list(reference.by_day.values())).astype(float) if reference.by_day else np.zeros((0, BINS + 1)),
        np.array(list(reference.by_day), np.int64),
        np.array(list(window.by_day), np.int64),
    )


def _mid_ranks(counts: Floats) -> Floats:
    """Return for each bin [B] the share of rows below it, its own by half."""
    ranks: Floats = (np.cumsum(counts) - counts / 2) / counts.sum()
    return ranks


def _cells(counts: Floats) -> NDArray[np.int64]:
    """Return the first bins of at most `CELLS` cells with about equal counts; the first cell begins at the first bin."""
    wanted = np.arange(1, CELLS) / CELLS
    cuts = np.searchsorted(np.cumsum(counts) / counts.sum(), wanted) + 1
    return np.unique(np.concatenate([[0], cuts[cuts < len(counts)]]))
