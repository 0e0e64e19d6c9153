"""Compare all columns of two windows, with false alarms controlled over all of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from components.drift.comparison.category_comparison import CategoryComparison, compare_categories
from components.drift.comparison.number_comparison import NumberComparison, compare_numbers
from components.drift.sketch.category_sketch import CategorySketch
from components.drift.sketch.number_sketch import NumberSketch
from components.drift.sketch.window_sketch import WindowSketch

Comparison = NumberComparison | CategoryComparison


@dataclass(frozen=True, kw_only=True)
class ColumnChange:
    """A column's comparison, and which of its tests are significant over all columns.

    Attributes:
        comparison: of the column's two windows.
        distribution: its distribution changed.
        missing: the share of missing values changed.
        unseen: more values are new than the shop adds anyway.
    """

    comparison: Comparison
    distribution: bool
    missing: bool
    unseen: bool


def compare_columns(reference: WindowSketch, window: WindowSketch) -> dict[str, Comparison]:
    """Compare the columns of which both windows have rows."""
    both = {name: (reference.columns[name], sketch) for name, sketch in window.columns.items() if name in reference.columns}
    return {name: _compare(*sketches) for name, sketches in both.items() if all(each.counts.any() for each in sketches)}


def p_values(comparisons: Mapping[str, Comparison]) -> dict[tuple[str, ...], float]:
    """Return the p value of each test of each column, by ("column", name, test)."""
    tests: dict[tuple[str, ...], float] = {}
    for name, comparison in comparisons.items():
        tests[("column", name, "distribution")] = comparison.p
        tests[("column", name, "missing")] = comparison.missing.p
        if isinstance(comparison, CategoryComparison):
            tests[("column", name, "unseen")] = comparison.unseen.p
    return tests


def significant(tests: Mapping[tuple[str, ...], float], *, false_discovery_rate: float) -> set[tuple[str, ...]]:
    """Return the tests that are significant together, by Benjamini and Hochberg (Journal of the Royal Statistical
    Society B 1995).

    It is valid for tests that are independent or positively dependent, as those of features are that follow each
    other. If nothing has changed, the rate is the probability of any false alarm. It holds for one window; windows that
    don't overlap are each judged by it.
    """
    adjusted = stats.false_discovery_control(np.clip(list(tests.values()), 0, 1)) if tests else []
    return {test for test, p in zip(tests, adjusted, strict=True) if p <= false_discovery_rate}


def column_changes(comparisons: Mapping[str, Comparison], alarms: set[tuple[str, ...]]) -> dict[str, ColumnChange]:
    """Join each comparison with which of its tests are significant."""
    return {
        name: ColumnChange(
            comparison=comparison,
            distribution=("column", name, "distribution") in alarms,
            missing=("column", name, "missing") in alarms,
            unseen=("column", name, "unseen") in alarms,
        )
        for name, comparison in comparisons.items()
    }


def _compare(reference: NumberSketch | CategorySketch, window: NumberSketch | CategorySketch) -> Comparison:
    if isinstance(reference, NumberSketch) and isinstance(window, NumberSketch):
        return compare_numbers(reference, window)
    if isinstance(reference, CategorySketch) and isinstance(window, CategorySketch):
        return compare_categories(reference, window)
    raise TypeError("expected a column of one kind in both windows, got numbers and texts")
