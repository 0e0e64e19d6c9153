"""Compute the whole return: gains, check against the holdout, avoided losses, costs, payback, sensitivity."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np

from components.experiment.report_schema import ExperimentReport
from components.experiment.roi.assumptions import Assumption, list_assumptions
from components.experiment.roi.avoided_losses import AvoidedLosses, Rollback, avoided_losses
from components.experiment.roi.costs import CostItem, Usage, cost_items, cumulative_cost, total_cost
from components.experiment.roi.gains import Estimate, ShrunkEffects, days_between, last_day_weights, money_weights, shrink, total
from components.experiment.roi.holdout import HoldoutCheck, check_holdout
from components.experiment.roi.payback import Payback, payback
from components.experiment.roi.price_file import PriceFile
from components.experiment.roi.programme import BASKET, METRICS, RETENTION, REVENUE, Programme, build_programme
from components.experiment.roi.sensitivity import Basis, Swing, daily_margin, margin_effects, sensitivity, shop_margin_a_day
from components.experiment.roi.shrinkage import Floats


@dataclass(frozen=True, kw_only=True)
class ArmRow:
    """A variant that was tried: relative effect on revenue as measured, shrunk, and by James-Stein; its margin if it was shipped.

    `james_stein` is None with fewer than six variants; `shipped_from`, `days` and `margin` where it wasn't shipped.
    """

    experiment: str
    arm: str
    effect: Estimate
    james_stein: float | None
    shipped_from: str | None
    shipped_until: str | None
    days: int | None
    margin: Estimate | None


@dataclass(frozen=True, kw_only=True)
class Cumulative:
    """Cumulated margin and cost at the end of each of some days: the gain by its mean and interval."""

    days: tuple[str, ...]
    gain: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    cost: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class RoiReport:
    """The return of a programme.

    Attributes:
        currency: of all amounts.
        start: first day that counts, ISO 8601.
        until: first day that doesn't.
        revenue: incremental, of the period.
        margin: incremental, of the period.
        margin_source: "measured", or "revenue times an assumed margin".
        basket: pieces an order more on the last day; None where a report lacks the metric.
        retention: share of shoppers more that come back within a week, likewise.
        basket_control: mean of the latest control, None as above.
        retention_control: likewise.
        arms: all variants that were tried.
        holdout: the check against it; None without one.
        avoided: losses of what was rolled back; not a part of the return.
        costs: by kind.
        cost: their sum.
        net: margin less cost.
        per_unit: margin for each unit of cost; None without cost.
        payback: when the costs are paid.
        cumulative: margin and cost by day.
        sensitivity: one assumption at a time.
        assumptions: all of them.
        cautions: faults that the reports' own checks name.
        left_out: metric to why it isn't there.
    """

    currency: str
    start: str
    until: str
    revenue: Estimate
    margin: Estimate
    margin_source: str
    basket: Estimate | None
    retention: Estimate | None
    basket_control: float | None
    retention_control: float | None
    arms: tuple[ArmRow, ...]
    holdout: HoldoutCheck | None
    avoided: AvoidedLosses
    costs: tuple[CostItem, ...]
    cost: float
    net: Estimate
    per_unit: Estimate | None
    payback: Payback
    cumulative: Cumulative
    sensitivity: tuple[Swing, ...]
    assumptions: tuple[Assumption, ...]
    cautions: tuple[str, ...]
    left_out: Mapping[str, str]

    def shown(self) -> dict[str, Any]:
        """Return the document that `--json` prints."""
        values = _plain(asdict(self))
        for row, item in zip(values["costs"], self.costs, strict=True):
            row["amount"] = item.amount
        assert isinstance(values, dict)
        return values


def roi_report(
    reports: Sequence[ExperimentReport], file: PriceFile, *, usage: Usage, rollbacks: Sequence[Rollback], today: date
) -> RoiReport:
    """Compute the return.

    Args:
        reports: of all experiments that ended, shipped or not, and of the holdout.
        file: the price file.
        usage: what trainings and storage took.
        rollbacks: of releases; those outside of the period don't count.
        today: what the period ends with where the price file has no end.

    Raises:
        InputError: reports or price file contradict each other, or lack something.
    """
    until = file.until or today
    programme = build_programme(reports, file, until=until)
    effects = {metric: shrink(programme.arms, metric) for metric in METRICS if metric not in programme.left_out}
    counted = tuple(each for each in rollbacks if file.start <= each.day < until)
    basis = Basis(programme=programme, effects=effects, usage=usage, rollbacks=counted, until=until)
    days = days_between(file.start, until)
    revenue_weights = money_weights(programme.arms, REVENUE, file, days).sum(1)
    margin_weights = daily_margin(basis, file)
    margins = margin_effects(basis, file)
    margin = total(margins, margin_weights.sum(1))
    items = cost_items(file, usage, until)
    cost = total_cost(items)
    gain, spent = margins.draws @ np.cumsum(margin_weights, axis=1), cumulative_cost(items, len(days))
    return RoiReport(
        currency=file.currency,
        start=file.start.isoformat(),
        until=until.isoformat(),
        revenue=total(effects[REVENUE], revenue_weights),
        margin=margin,
        margin_source="measured" if margins is not effects[REVENUE] else "revenue times an assumed margin",
        basket=_standing(programme, effects, BASKET, file, until),
        retention=_standing(programme, effects, RETENTION, file, until),
        basket_control=_control(programme, effects, BASKET),
        retention_control=_control(programme, effects, RETENTION),
        arms=_arm_rows(programme, effects[REVENUE], margins, margin_weights),
        holdout=check_holdout(programme.holdout, programme.arms, effects[REVENUE], file) if programme.holdout else None,
        avoided=avoided_losses(counted, file, margin_a_day=shop_margin_a_day(basis, file)),
        costs=items,
        cost=cost,
        net=_shifted(margin, -cost),
        per_unit=_scaled(margin, 1 / cost) if cost else None,
        payback=payback(gain, spent, file.start),
        cumulative=_cumulative(gain, spent, [day.isoformat() for day in days]),
        sensitivity=sensitivity(basis, file),
        assumptions=list_assumptions(programme, file, usage, until),
        cautions=programme.cautions,
        left_out=programme.left_out,
    )


def _standing(programme: Programme, effects: Mapping[str, ShrunkEffects], metric: str, file: PriceFile, until: date) -> Estimate | None:
    return total(effects[metric], last_day_weights(programme.arms, metric, file, until)) if metric in effects else None


def _control(programme: Programme, effects: Mapping[str, ShrunkEffects], metric: str) -> float | None:
    return programme.arms[-1].metrics[metric].control if metric in effects else None


def _arm_rows(programme: Programme, effects: ShrunkEffects, margins: ShrunkEffects, weights: Floats) -> tuple[ArmRow, ...]:
    rows = []
    for i, arm in enumerate(programme.arms):
        one = np.zeros(len(programme.arms))
        one[i] = 1.0
        rows.append(
            ArmRow(
                experiment=arm.experiment,
                arm=arm.name,
                effect=total(effects, one),
                james_stein=None if effects.james_stein is None else float(effects.james_stein[i]),
                shipped_from=arm.shipped_from.isoformat() if arm.shipped_from else None,
                shipped_until=arm.shipped_until.isoformat() if arm.shipped_until else None,
                days=int((weights[i] != 0).sum()) if arm.shipped else None,
                margin=total(margins, one * weights[i].sum()) if arm.shipped else None,
            )
        )
    return tuple(rows)


def _cumulative(gain: Floats, cost: Floats, days: Sequence[str]) -> Cumulative:
    chosen = np.unique(np.linspace(0, len(days) - 1, min(len(days), 120)).round().astype(int))
    lower, upper = np.quantile(gain[:, chosen], [0.025, 0.975], axis=0)
    return Cumulative(
        days=tuple(days[i] for i in chosen),
        gain=tuple(map(float, gain[:, chosen].mean(0))),
        lower=tuple(map(float, lower)),
        upper=tuple(map(float, upper)),
        cost=tuple(map(float, cost[chosen])),
    )


def _shifted(value: Estimate, by: float) -> Estimate:
    return Estimate(measured=value.measured + by, shrunk=value.shrunk + by, lower=value.lower + by, upper=value.upper + by)


def _scaled(value: Estimate, by: float) -> Estimate:
    return Estimate(measured=value.measured * by, shrunk=value.shrunk * by, lower=value.lower * by, upper=value.upper * by)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value.isoformat() if isinstance(value, date) else value
