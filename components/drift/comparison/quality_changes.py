"""Test each ranking metric of each slice for a change."""

import numpy as np

from components.drift.comparison.clustered_tests import Change, Ratios, ratio_change
from components.drift.sketch.quality_sums import METRICS, SUMS, QualitySums

MIN_GROUPS = 20
"""Groups of shoppers that a slice's metric must be known of in both windows: of fewer, its variance isn't."""


def quality_changes(reference: QualitySums, window: QualitySums) -> dict[tuple[str, str, str], Change]:
    """Test each metric of each slice that both windows have, by (slice, value, metric)."""
    changes = {}
    for (name, value), sums in window.by_group.items():
        if (name, value) not in reference.by_group:
            continue
        days = reference.by_day[(name, value)]
        for metric, (top, bottom) in METRICS.items():
            columns = [SUMS.index(top), SUMS.index(bottom)]
            ratios = Ratios(
                reference.by_group[(name, value)][:, columns],
                sums[:, columns],
                np.array([days[day][columns] for day in days]).reshape(-1, 2),
                np.array(list(days), np.int64),
                np.array(list(window.by_day[(name, value)]), np.int64),
            )
            known = min(int((each[:, 1] > 0).sum()) for each in (ratios.reference, ratios.window))
            change = ratio_change(ratios) if known >= MIN_GROUPS else None
            if change is not None:
                changes[(name, value, metric)] = change
    return changes
