"""Compare a column of numbers in two windows: distribution, missing values, a factor between them, a constant."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from components.drift.comparison.clustered_tests import Change, Windows, mean_change, shares_change
from components.drift.comparison.effects import constant_cell, jensen_shannon
from components.drift.sketch.number_sketch import BINS, MISSING, NumberSketch, ascending_bins, bin_values

CELLS = 12
_RESIDUE = 0.25  # of the divergence that may be left after a common factor is taken out, for the factor to be the cause

Floats = NDArray[np.float64]
_ORDER = ascending_bins()
_VALUES = bin_values()[_ORDER]


@dataclass(frozen=True, kw_only=True)
class NumberComparison:
    """What a column's two windows differ by.

    Attributes:
        missing: the share of missing values.
        p: of the test whether the distributions are one: Bonferroni's over location, spread and shares of cells.
        effect: Jensen-Shannon divergence in bits.
        superiority: probability that a value of the window is above one of the reference, ties by half: 0.5 if equal.
        median: of the reference and of the window; NaN where there are no values.
        factor: all values are the reference's times this; None where that doesn't explain the change.
        constant: the value that nearly all of the window has and the reference has not; None if there is none.
        cells: their edges [C + 1], and shares [C] of both in them, for a plot.
    """

    missing: Change
    p: float
    effect: float
    superiority: float
    median: tuple[float, float]
    factor: float | None
    constant: float | None
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
            factor=None,
            constant=None,
            cells=(empty, empty, empty),
        )
    ranks, starts = _mid_ranks(old), _cells(old)
    shares = np.add.reduceat(old, starts) / old.sum(), np.add.reduceat(new, starts) / new.sum()
    constant = constant_cell(old, new)
    edges = np.append(_VALUES[starts], _VALUES[np.flatnonzero(old + new)[-1]])
    return NumberComparison(
        missing=missing,
        p=max(_p_value(each.mapped(lambda counts: counts[:, _ORDER]), ranks, starts) for each in groupings),
        effect=jensen_shannon(*shares),
        superiority=float(new @ ranks / new.sum()),
        median=median,
        factor=_factor(old, new),
        constant=None if constant is None else float(_VALUES[constant]),
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


def _factor(old: Floats, new: Floats) -> float | None:
    """Return the factor that takes the reference's values to the window's, if a factor explains the change.

    It is estimated from the means of the logarithms of magnitudes, without zeros.
    """
    nonzero = _VALUES != 0
    logs = np.log(np.abs(_VALUES, where=nonzero, out=np.ones_like(_VALUES)))

    def middle(counts: Floats) -> tuple[float, float]:
        weights = counts[nonzero]
        if not weights.sum():
            return math.nan, math.nan
        mean = float(np.average(logs[nonzero], weights=weights))
        return mean, float(weights.sum() / counts.sum())

    (old_mean, old_share), (new_mean, new_share) = middle(old), middle(new)
    shift = new_mean - old_mean
    if not math.isfinite(shift) or abs(shift) < 0.02 or abs(old_share - new_share) > 0.05:
        return None
    before = _distance(old, new, logs, nonzero, 0.0)
    after = _distance(old, new, logs, nonzero, shift)
    return math.exp(shift) if after < _RESIDUE * before else None


def _distance(old: Floats, new: Floats, logs: Floats, used: NDArray[np.bool_], shift: float) -> float:
    """Return the greatest difference of the cumulative shares by magnitude, the reference's magnitudes moved by `shift`."""
    order = np.argsort(logs[used], kind="stable")
    at = logs[used][order]
    shares = [np.cumsum(counts[used][order]) / counts[used].sum() for counts in (old, new)]
    moved = np.interp(at - shift, at, shares[0], left=0.0, right=1.0)
    return float(np.max(np.abs(moved - shares[1])))
