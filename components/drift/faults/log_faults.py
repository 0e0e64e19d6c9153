"""Name what changed in when requests and interactions came."""

import math
from collections.abc import Mapping

import numpy as np

from components.drift.comparison.compare import ColumnChange
from components.drift.comparison.number_comparison import NumberComparison
from components.drift.comparison.volume import Volume
from components.drift.decision import Action, Reason
from components.drift.faults.spans import spans
from components.drift.sketch.number_sketch import MAGNITUDES, MISSING, Ints, NumberSketch, quantile
from components.drift.sketch.window_sketch import WindowSketch

DELAY = "delay_s"
"""Column of the log: seconds from a request to each interaction with it, below 0 if it is stamped before its request."""

LOST = 0.8
"""Of the expected requests, below which some are lost, where days don't differ by as much."""
_BEFORE = 0.02  # rise of the share of interactions stamped before their request from which a clock is wrong
_QUANTILES = (0.1, 0.25, 0.5)  # of delays: a clock moves them all by as much
_LEAST_S = 1.0


def volume_reasons(volume: Volume | None, *, fewer: bool, moved: bool) -> list[Reason]:
    """Return a reason if requests are surely missing, and one if they surely come at other hours of the day."""
    reasons = []
    if volume is not None and fewer and volume.ratio < LOST:
        when = f" in the last {volume.days} days" if volume.days > 1 else " on the last day" if volume.days else ""
        text = (
            f"requests: {volume.requests:,} came{when} where {volume.expected:,.0f} were expected ({volume.ratio:.0%}); "
            "servers, logs or a part of the shop are lost."
        )
        reasons.append(Reason(action=Action.FREEZE, kind="lost requests", subject="requests", text=text))
    if volume is not None and moved and volume.shift_hours:
        when = "later" if volume.shift_hours > 0 else "earlier"
        text = f"requests: the day's course is {abs(volume.shift_hours)} h {when} than in the reference; a clock or a time zone is wrong."
        reasons.append(Reason(action=Action.FREEZE, kind="clock skew", subject="requests", text=text))
    return reasons


def delay_reasons(reference: WindowSketch, window: WindowSketch, columns: Mapping[str, ColumnChange]) -> list[Reason]:
    """Return a reason if interactions are stamped before their requests, or all later or earlier by as much."""
    old, new = (sketch.columns.get(DELAY) for sketch in (reference, window))
    if DELAY not in columns or not isinstance(old, NumberSketch) or not isinstance(new, NumberSketch):
        return []
    comparison = columns[DELAY].comparison
    if not columns[DELAY].distribution or not isinstance(comparison, NumberComparison):
        return []
    usual = old.counts.sum(axis=0, dtype=np.int64)
    for counts, when in spans(new):
        before = [_share_before(each) for each in (usual, counts)]
        if before[1] - before[0] >= _BEFORE:
            shares = f"{before[1]:.1%}{when} are stamped before their own request, in the reference {before[0]:.1%}"
            text = f"interactions: {shares}; clocks differ."
            return [Reason(action=Action.FREEZE, kind="clock skew", subject="interactions", text=text)]
    for counts, when in spans(new):
        moved = [quantile(counts, share) - quantile(usual, share) for share in _QUANTILES]
        if math.isfinite(moved[0]) and abs(moved[0]) >= _LEAST_S and max(moved) - min(moved) <= 0.5 * abs(moved[0]):
            text = f"interactions: all come {moved[0]:+.3g} s later after their request{when} than in the reference; clocks differ."
            return [Reason(action=Action.FREEZE, kind="clock skew", subject="interactions", text=text)]
    return []


def _share_before(counts: Ints) -> float:
    return float(counts[MAGNITUDES + 1 : MISSING].sum() / max(counts[:MISSING].sum(), 1))
