"""Windows of several lengths that end together: what is too little to see in a day may show in the last seven.

They overlap, so what one of them says the others say likely too, and Benjamini and Hochberg's procedure over the tests
of one window knows nothing of the others. Each window is therefore judged at the false discovery rate over their number
(Bonferroni): if nothing has changed, the chance of a significant test in any of them is at most the rate, however they
depend on each other.
"""

from collections.abc import Sequence

from components.contract.values.local_time import DAY_US
from components.drift.check import Window

TASTE_DAYS = 14
"""Before the longest window, whose labels less scores are the reference of tastes, whichever release scored them.

A release that is a day old has no reference of its own, and shops that retrain often would never have one. What a calibrated
model leaves of the labels is 0 in every cell, whichever model it is, so earlier releases' days tell as well.
"""


def starts(horizons_days: Sequence[int], *, since_us: int, end_us: int) -> list[int]:
    """Return when the windows begin, ascending and each once: so many days before their end, or at `since_us` if that is later."""
    return sorted({max(end_us - days * DAY_US, since_us) for days in horizons_days})


def nested(before: Window, parts: Sequence[Window]) -> list[tuple[Window, Window]]:
    """Return each window with all that came before it, the shortest first.

    Args:
        before: what came before all windows.
        parts: what lies between their beginnings, the oldest first; the last is the shortest window.
    """
    return [(merged([before, *parts[:at]]), merged(parts[at:])) for at in reversed(range(len(parts)))]


def merged(parts: Sequence[Window]) -> Window:
    """Return one window of several."""
    whole = Window()
    for part in parts:
        whole.sketch.merge(part.sketch)
        whole.quality.merge(part.quality)
    return whole
