"""Find the day on which the gains have paid the costs."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from components.experiment.roi.shrinkage import Floats

FORECAST_DAYS = 3650
"""A payback later than so many days after the period is none."""


@dataclass(frozen=True, kw_only=True)
class Payback:
    """When the gains have paid the costs; a day after the period is where its last day's gain and cost would lead.

    Attributes:
        day: by the shrunk gain; None: not within ten years.
        early: by draws, 2.5 % are earlier; None: fewer are that early within ten years.
        late: by draws, 2.5 % are later; None: more than 2.5 % never.
        paid: probability that the costs are paid by the end of the period.
        within_period: whether `day` is within the period.
    """

    day: date | None
    early: date | None
    late: date | None
    paid: float
    within_period: bool


def payback(gain: Floats, cost: Floats, start: date) -> Payback:
    """Return the payback of cumulated gains and costs.

    Args:
        gain: (draws, days) cumulated.
        cost: (days,) cumulated.
        start: the first day.
    """
    days = paid_after(gain - cost)
    (middle,) = paid_after((gain.mean(0) - cost)[None])
    early, late = np.quantile(days, [0.025, 0.975], method="nearest")
    return Payback(
        day=_day(start, middle),
        early=_day(start, early),
        late=_day(start, late),
        paid=float((gain[:, -1] >= cost[-1]).mean()),
        within_period=bool(middle <= len(cost)),
    )


def paid_after(net: Floats) -> Floats:
    """Return after how many days each row of cumulated net gains (draws, days) is 0 or more for good; infinite for never."""
    below = net < 0
    last = net.shape[1] - 1 - np.argmax(below[:, ::-1], axis=1)  # the last day below 0, where there is one
    days = np.where(below.any(1), last + 2.0, 1.0)
    rate = net[:, -1] - net[:, -2] if net.shape[1] > 1 else net[:, -1]
    with np.errstate(divide="ignore", invalid="ignore"):
        further = np.ceil(-net[:, -1] / rate)
    beyond = np.where((rate > 0) & (further <= FORECAST_DAYS), net.shape[1] + further, np.inf)
    return np.asarray(np.where(below[:, -1], beyond, days), np.float64)


def _day(start: date, days: float) -> date | None:
    return start + timedelta(int(days) - 1) if np.isfinite(days) else None
