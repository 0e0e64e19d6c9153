"""Compare a column of texts in two windows: shares of values, missing values, values that the reference lacks."""

import unicodedata
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from components.drift.comparison.clustered_tests import Change, Windows, last_days, mean_change, mean_error, shares_change
from components.drift.comparison.effects import constant_cell, l_infinity
from components.drift.sketch.category_sketch import CategorySketch
from components.drift.sketch.number_sketch import GROUPS

CELLS = 12
SHOWN = 5

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class CategoryComparison:
    """What a column's two windows differ by.

    Attributes:
        missing: the share of missing values.
        p: of the test whether the shares of the most frequent values and of the rest are the same; 1 where the column
            has so many values that only a sample of them is known.
        effect: the greatest difference of a value's share, TFDV's L-infinity distance.
        unseen: the share of rows with a value that the reference lacks; its `reference` is that of the reference's
            last days against the days before them, so what a shop adds every day is no news.
        unseen_values: the most frequent of those.
        respelled: of the rows with such a value, the share whose value is one of the reference's in other letters.
        constant: the value that nearly all of the window has, or of its last days, and the reference has not; None if
            there is none.
        cells: the values, and shares [C] of both, for a plot; the last is the rest.
    """

    missing: Change
    p: float
    effect: float
    unseen: Change
    unseen_values: tuple[str, ...]
    respelled: float
    constant: str | None
    cells: tuple[tuple[str, ...], Floats, Floats]


def compare_categories(reference: CategorySketch, window: CategorySketch) -> CategoryComparison:
    """Compare two sketches of a column."""
    missing = mean_change(_windows(reference, window, [""]), np.array([1.0, 0.0]))
    unseen, names, respelled = _unseen(reference, window)
    if reference.bits or window.bits or missing.reference == 1 or missing.window == 1:
        empty = np.zeros(0)
        return CategoryComparison(
            missing=missing,
            p=1.0,
            effect=0.0,
            unseen=unseen,
            unseen_values=names,
            respelled=respelled,
            constant=None,
            cells=((), empty, empty),
        )
    values = _most_frequent(reference, window)
    cells = _windows(reference, window, ["", *values]).mapped(lambda counts: counts[:, 1:])
    shares = tuple(each.sum(axis=0) / each.sum() for each in (cells.reference, cells.window))
    constant = constant_cell(shares[0], shares[1])
    if constant is None:
        last = last_days(window.by_day)
        late = np.zeros(len(values) + 1)
        for day in last:
            late += _cells(window.by_day[day], window.values, ["", *values], np.array(window.day_total[day]))[1:]
        constant = constant_cell(shares[0], late) if last else None
    return CategoryComparison(
        missing=missing,
        p=shares_change(cells),
        effect=l_infinity(shares[0], shares[1]),
        unseen=unseen,
        unseen_values=names,
        respelled=respelled,
        constant=None if constant is None or constant == len(values) else values[constant],
        cells=((*values, "other"), shares[0], shares[1]),
    )


def _most_frequent(reference: CategorySketch, window: CategorySketch) -> list[str]:
    """Return the values most frequent in either window: each window has its say over half of them."""
    chosen: dict[str, None] = {}
    for sketch in (reference, window):
        counts = sketch.counts.sum(axis=1)
        ranked = sorted((value for value in sketch.values if value), key=lambda value: (-int(counts[sketch.values[value]]), value))
        chosen |= dict.fromkeys(ranked[: CELLS // 2])
    return list(chosen)


def _windows(reference: CategorySketch, window: CategorySketch, values: list[str]) -> Windows:
    """Return a cell for each of these values, and one for all others."""
    by_day = [_cells(counts, reference.values, values, np.array(reference.day_total[day])) for day, counts in reference.by_day.items()]
    return Windows(
        _cells(reference.counts, reference.values, values, reference.total),
        _cells(window.counts, window.values, values, window.total),
        np.array(by_day).reshape(-1, len(values) + 1),
        np.array(list(reference.by_day), np.int64),
        np.array(list(window.by_day), np.int64),
    )


def _cells(counts: NDArray[np.uint32], rows: dict[str, int], values: list[str], total: NDArray[np.int64]) -> Floats:
    """Return counts [..., V + 1] of the values and of all others, from counts [rows, ...]."""
    each = [counts[rows[value]].astype(float) if value in rows else np.zeros(total.shape) for value in values]
    return np.stack([*each, total - np.sum(each, axis=0)], axis=-1)


def _unseen(reference: CategorySketch, window: CategorySketch) -> tuple[Change, tuple[str, ...], float]:
    """Test whether more of the window's rows have a value new to the reference than a shop's new values explain.

    That share is known of as many days of the reference as the window has, against the days before them, block after
    block. New values come at a pace, so it grows with the time since the reference's end: its mean, and what blocks
    differ by, are multiplied by how much further the window is from there than a block from its beginning. They make a
    prediction interval for the window (Student's t).
    """
    bits = max(reference.bits, window.bits)
    known, current = reference.kept(bits), window.kept(bits)
    new = {value: row for value, row in current.items() if value not in known}
    old = [row for value, row in current.items() if value in known]
    rows = window.counts[list(new.values())].sum(axis=1, dtype=np.int64)
    by_group = np.stack([window.counts[old].sum(axis=0), window.counts[list(new.values())].sum(axis=0)], axis=1).astype(float)
    shares = _shares_of_new(reference, np.array(list(known.values()), np.int64), days=len(window.by_day))
    if not by_group.sum():
        mean = float(np.mean(shares)) if len(shares) else 0.0
        return Change(mean, mean, 0.0, 1.0), (), 0.0
    age = _age(reference, window)
    mean = min(age * float(np.mean(shares)), 1.0) if len(shares) else 0.0
    own = mean_error(by_group, np.array([0.0, 1.0])) ** 2
    between = float(np.var(shares, ddof=1)) if len(shares) > 1 else 0.0
    error = float(np.sqrt(own + between * (age + age**2 / max(len(shares), 1))))
    share = float(by_group[:, 1].sum() / by_group.sum())
    freedom = len(shares) - 1 if between > own and len(shares) > 1 else GROUPS - 1
    p = float(stats.t.sf((share - mean) / error, freedom)) if error else float(share == mean)
    spellings = {_spelling(value) for value in known} - {""}
    respelled = sum(int(count) for value, count in zip(new, rows, strict=True) if _spelling(value) in spellings)
    names = [value for _, value in sorted((-int(count), value) for value, count in zip(new, rows, strict=True))]
    return Change(mean, share, error, p), tuple(names[:SHOWN]), respelled / max(int(rows.sum()), 1)


def _age(reference: CategorySketch, window: CategorySketch) -> float:
    """Return how far the window's middle is from the reference's end, as a multiple of half of the window's days."""
    if not reference.by_day or not window.by_day:
        return 1.0
    since = float(np.mean(list(window.by_day))) + 0.5 - (max(reference.by_day) + 1)
    return max(since / (len(window.by_day) / 2), 1.0)


def _spelling(value: str) -> str:
    """Return a value's letters and digits, whatever their case and what stands between them."""
    return "".join(each for each in unicodedata.normalize("NFKD", value).casefold() if each.isalnum())


def _shares_of_new(reference: CategorySketch, rows: NDArray[np.int64], *, days: int) -> Floats:
    """Return for each block of `days` days in the reference's last half the share of rows whose value no earlier day has."""
    ordered = sorted(reference.by_day)
    counts = np.stack([reference.by_day[day][rows] for day in ordered]).astype(np.int64) if ordered else np.zeros((0, len(rows)), np.int64)
    before = np.cumsum(counts, axis=0) - counts
    starts = range(len(ordered) - days, (len(ordered) - 1) // 2, -days)
    blocks = [(counts[start : start + days].sum(axis=0), before[start]) for start in starts]
    return np.array([late[early == 0].sum() / late.sum() for late, early in blocks if late.sum()])
