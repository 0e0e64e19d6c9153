"""Look at a window as a whole, and at its last days, where what began within it shows."""

from collections.abc import Iterator

import numpy as np

from components.drift.comparison.clustered_tests import last_days
from components.drift.sketch.number_sketch import Ints, NumberSketch


def spans(window: NumberSketch) -> Iterator[tuple[Ints, str]]:
    """Yield a column's counts [BINS + 1] in the whole window and in its last days, and when that is in words."""
    yield window.counts.sum(axis=0, dtype=np.int64), ""
    last = last_days(window.by_day)
    if last:
        yield np.sum([window.by_day[day] for day in last], axis=0, dtype=np.int64), " in the last days"
