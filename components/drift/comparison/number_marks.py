"""Find the marks that a fault leaves in a column of numbers: a factor, a constant, one value that came from nowhere."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.drift.comparison.effects import constant_cell
from components.drift.sketch.number_sketch import ascending_bins, bin_values

UNITS = {
    100.0: "hundredths (cents)",
    1000.0: "thousandths",
    10.0: "tenths",
    60.0: "minutes against seconds",
    3600.0: "hours against seconds",
    24.0: "days against hours",
    1.609344: "miles against kilometres",
    2.54: "inches",
    0.45359237: "pounds",
}
"""Factors between units of measure, and what they are."""

_RESIDUE = 0.25  # of the distance that may be left after a factor is taken out, for the factor to be the cause
_NOISY_RESIDUE = 0.5  # where rows are so few that this much is left by chance
_NOISE = 4.5  # standard errors of the mean rank: the distance of two samples of one distribution is below it in 19 of 20
_LEAST_LOG = 0.02
_MOST_ZEROS = 0.05  # that the share of zeros may move by under a factor
_PART = 0.1  # of the rows, from which a factor of some of them is looked for
_PART_FACTOR = 8.0  # from which a second hump tells it from any other change of shape
_SPIKE, _SPIKE_ELSEWHERE = 0.1, 0.3  # share of one value, of 0 and below and of others, where the reference has hardly any
_HARDLY = 0.01
_NO_FACTOR = None, 1.0, 1.0

Floats = NDArray[np.float64]

_VALUES = bin_values()[ascending_bins()]
_NONZERO = _VALUES != 0
_BY_MAGNITUDE = np.argsort(np.abs(_VALUES[_NONZERO]), kind="stable")
_LOGS = np.log(np.abs(_VALUES[_NONZERO])[_BY_MAGNITUDE])


@dataclass(frozen=True, kw_only=True)
class NumberMarks:
    """Marks of faults in some of a column's rows.

    Attributes:
        factor: values are the reference's times this; None where that doesn't explain the change.
        part: the share of the rows that it holds for.
        residue: the share of the distance that it leaves unexplained.
        constant: the value that nearly all rows have and in the reference few have; None if there is none.
        spike: a value that many rows have and in the reference hardly any has, with their share; None if there is none.
    """

    factor: float | None = None
    part: float = 1.0
    residue: float = 1.0
    constant: float | None = None
    spike: tuple[float, float] | None = None


def number_marks(old: Floats, new: Floats, *, rank_error: float) -> NumberMarks:
    """Return the marks in counts `new` [B] against the reference's `old` [B], both by ascending bins.

    Args:
        old: of the reference.
        new: of the window, or of its last days.
        rank_error: standard error of the mean rank of `new` in `old`: what noise there is.
    """
    if not old.sum() or not new.sum():
        return NumberMarks()
    cell = constant_cell(old, new)
    factor, part, residue = _factor(old, new, rank_error)
    constant = None if cell is None else float(_VALUES[cell])
    return NumberMarks(factor=factor, part=part, residue=residue, constant=constant, spike=_spike(old, new))


def _spike(old: Floats, new: Floats) -> tuple[float, float] | None:
    before, after = old / old.sum(), new / new.sum()
    top = int(np.argmax(after - before))
    least = _SPIKE if _VALUES[top] <= 0 else _SPIKE_ELSEWHERE
    return (float(_VALUES[top]), float(after[top])) if before[top] < _HARDLY and after[top] >= least else None


def _factor(old: Floats, new: Floats, rank_error: float) -> tuple[float | None, float, float]:
    """Return the factor that takes the reference's values to the window's, if one explains the change, its part and residue.

    It is estimated from the means of the logarithms of magnitudes, without zeros; of a part of the rows, among units.
    """
    shares = [_magnitudes(counts) for counts in (old, new)]
    if not all(each.sum() for each in shares) or abs(old[_NONZERO].sum() / old.sum() - new[_NONZERO].sum() / new.sum()) > _MOST_ZEROS:
        return _NO_FACTOR
    before, after = (np.cumsum(each) / each.sum() for each in shares)
    shift = float(_LOGS @ shares[1] / shares[1].sum() - _LOGS @ shares[0] / shares[0].sum())
    distance = float(np.max(np.abs(after - before)))
    if not distance:
        return _NO_FACTOR
    residue = float(np.max(np.abs(_moved(before, shift) - after))) / distance
    if abs(shift) >= _LEAST_LOG and residue < max(_RESIDUE, min(_NOISY_RESIDUE, _NOISE * rank_error / distance)):
        return math.exp(shift), 1.0, residue
    for unit in UNITS:
        for factor in (unit, 1 / unit):
            if max(factor, 1 / factor) >= _PART_FACTOR:
                added = _moved(before, math.log(factor)) - before
                part = float(added @ (after - before) / max(added @ added, 1e-12))
                residue = float(np.max(np.abs(after - before - part * added))) / distance
                if part >= _PART and residue < _RESIDUE:
                    return factor, min(part, 1.0), residue
    return _NO_FACTOR


def _magnitudes(counts: Floats) -> Floats:
    ordered: Floats = counts[_NONZERO][_BY_MAGNITUDE]
    return ordered


def _moved(shares: Floats, shift: float) -> Floats:
    """Return cumulative shares by magnitude of all values times exp(shift)."""
    moved: Floats = np.interp(_LOGS - shift, _LOGS, shares, left=0.0, right=1.0)
    return moved
