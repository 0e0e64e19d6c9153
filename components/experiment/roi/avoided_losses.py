"""Estimate what releases that were rolled back would have cost, had nothing rolled them back."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from components.experiment.roi.gains import Estimate
from components.experiment.roi.price_file import PriceFile

_Z = 1.959964


@dataclass(frozen=True, kw_only=True)
class Rollback:
    """A release that the guard rolled back.

    Attributes:
        day: of the decision.
        release: its version.
        reason: the guard's.
        clicked: requests with a click, and requests whose click window was over, of the release; None: the journal lacks them.
        stable_clicked: the same of the release that it was compared with.
    """

    day: date
    release: int
    reason: str
    clicked: tuple[int, int] | None
    stable_clicked: tuple[int, int] | None


@dataclass(frozen=True, kw_only=True)
class AvoidedLoss:
    """A rollback with what the release would have cost; `loss` and `amount` are None where its clicks aren't known.

    `loss` is the share of clicks that it lost; `amount` is in margin, in the price file's currency.
    """

    rollback: Rollback
    loss: Estimate | None
    amount: Estimate | None


@dataclass(frozen=True, kw_only=True)
class AvoidedLosses:
    """All rollbacks of the period, and the sum of their amounts."""

    rows: tuple[AvoidedLoss, ...]
    total: Estimate

    @property
    def unvalued(self) -> int:
        """Rollbacks whose clicks the journal lacks."""
        return sum(row.amount is None for row in self.rows)


def avoided_losses(rollbacks: Sequence[Rollback], file: PriceFile, *, margin_a_day: float) -> AvoidedLosses:
    """Value each rollback: share of clicks lost, times margin of a day, times the days until somebody would have noticed.

    The interval of the lost share is that of a ratio of two rates, on the log scale (Katz et al. 1978, Biometrics 34).

    Args:
        rollbacks: of the period.
        file: the price file.
        margin_a_day: of the whole shop.
    """
    scale = margin_a_day * file.rollbacks.days_unnoticed.value * file.rollbacks.revenue_of_clicks.value
    rows = []
    for rollback in rollbacks:
        loss = _loss(rollback)
        rows.append(AvoidedLoss(rollback=rollback, loss=loss, amount=None if loss is None else _scaled(loss, scale)))
    amounts = [row.amount for row in rows if row.amount is not None]
    value = sum(each.shrunk for each in amounts)
    below = math.sqrt(sum((each.shrunk - each.lower) ** 2 for each in amounts))
    above = math.sqrt(sum((each.upper - each.shrunk) ** 2 for each in amounts))
    return AvoidedLosses(rows=tuple(rows), total=Estimate(measured=value, shrunk=value, lower=value - below, upper=value + above))


def _loss(rollback: Rollback) -> Estimate | None:
    if rollback.clicked is None or rollback.stable_clicked is None:
        return None
    (hits, trials), (stable_hits, stable_trials) = rollback.clicked, rollback.stable_clicked
    if not hits or not stable_hits:  # of so few requests a ratio says nothing
        return None
    ratio = (hits / trials) / (stable_hits / stable_trials)
    error = math.sqrt(1 / hits - 1 / trials + 1 / stable_hits - 1 / stable_trials)
    return Estimate(measured=1 - ratio, shrunk=1 - ratio, lower=1 - ratio * math.exp(_Z * error), upper=1 - ratio * math.exp(-_Z * error))


def _scaled(loss: Estimate, scale: float) -> Estimate:
    return Estimate(measured=loss.measured * scale, shrunk=loss.shrunk * scale, lower=loss.lower * scale, upper=loss.upper * scale)
