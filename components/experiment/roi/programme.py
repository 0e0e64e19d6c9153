"""Build a programme, all arms that were tried and which were shipped when, from experiment reports and the price file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import combinations

from components.contract.base_model import closest
from components.contract.errors import InputError
from components.experiment.report_schema import ExperimentReport, MetricResult
from components.experiment.roi.price_file import PriceFile, Shipped

REVENUE, MARGIN = "revenue_per_shopper", "margin_per_shopper"
BASKET, RETENTION = "basket_size", "return_within_7_days"
METRICS = (REVENUE, MARGIN, BASKET, RETENTION)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What an experiment measured of an arm on a metric: `effect` and `std_error` in the metric's unit, `control` its mean there."""

    effect: float
    std_error: float
    control: float
    unit: str


@dataclass(frozen=True, kw_only=True)
class Arm:
    """An arm beside its control, whether it was shipped or not.

    Attributes:
        experiment: name of its experiment.
        name: its own.
        first_day: of the experiment.
        last_day: of the experiment, included.
        shoppers_a_day: of the whole shop: the experiment's shoppers over its days and its share of the traffic.
        metrics: by name; those that the report lacks are absent.
        shipped_from: first day on which all shoppers had it; None: it wasn't shipped.
        shipped_until: first day on which they no longer had it; None: they still have it.
    """

    experiment: str
    name: str
    first_day: date
    last_day: date
    shoppers_a_day: float
    metrics: Mapping[str, Measured]
    shipped_from: date | None = None
    shipped_until: date | None = None

    @property
    def shipped(self) -> bool:
        """Whether it was shipped."""
        return self.shipped_from is not None


@dataclass(frozen=True, kw_only=True)
class Programme:
    """All arms that were tried, and the holdout.

    Attributes:
        arms: in the order of their experiments' ends.
        holdout: the arm `everybody` beside those who never had an improvement; None without one.
        cautions: what the reports' own checks call a fault.
        left_out: metric to why it isn't there.
    """

    arms: tuple[Arm, ...]
    holdout: Arm | None
    cautions: tuple[str, ...]
    left_out: Mapping[str, str]

    @property
    def shipped(self) -> tuple[Arm, ...]:
        """The arms that were shipped."""
        return tuple(arm for arm in self.arms if arm.shipped)

    @property
    def experiments(self) -> int:
        """How many experiments there are, without the holdout."""
        return len({arm.experiment for arm in self.arms})


def build_programme(reports: Sequence[ExperimentReport], file: PriceFile, *, until: date) -> Programme:
    """Check reports against each other and the price file, and return the programme.

    Args:
        reports: of all experiments that ended, also of those that shipped nothing: the shrinkage is learned from all.
        file: the price file.
        until: first day that doesn't count.

    Raises:
        InputError: a report has another currency, lacks the revenue, or contradicts another one or the price file.
    """
    by_name = {report.experiment: report for report in reports}
    _check_names(reports, file)
    tried = sorted((report for report in reports if report.experiment != file.holdout), key=lambda each: (each.last_day, each.experiment))
    if not tried:
        raise InputError("expected the report of at least one experiment besides the holdout, got none")
    for report in reports:
        if report.currency != file.currency:
            raise InputError(
                f"{report.experiment}: its report is in {report.currency or 'no currency'}, the price file in {file.currency};"
                " make the report anew with that currency, or change the price file's"
            )
    _check_periods(tried, file)
    arms = tuple(arm for report in tried for arm in _arms(report, file.experiments.get(report.experiment, Shipped()), until))
    holdout = None
    if file.holdout is not None:
        shipped = Shipped(traffic=file.experiments[file.holdout].traffic) if file.holdout in file.experiments else Shipped()
        holdout = _holdout(by_name[file.holdout], shipped)
    cautions = tuple(
        f"{report.experiment}: {check.text}" for report in tried for check in report.checks if check.severity == "fault" and report.shipped
    )
    return Programme(arms=arms, holdout=holdout, cautions=cautions, left_out=dict(_left_out(tried, arms)))


def _check_names(reports: Sequence[ExperimentReport], file: PriceFile) -> None:
    names = [report.experiment for report in reports]
    if twice := next((name for i, name in enumerate(names) if name in names[:i]), None):
        raise InputError(f"{twice}: expected one report of each experiment, got two; keep the one of its whole period")
    named = [*file.experiments, *(name for group in file.concurrent for name in group), *([file.holdout] if file.holdout else [])]
    for name in named:
        if name not in names:
            raise InputError(f"the price file names an experiment {name!r}, of which there is no report; {closest(name, names)}")


def _check_periods(reports: Sequence[ExperimentReport], file: PriceFile) -> None:
    for one, other in combinations(reports, 2):
        overlap = one.first_day <= other.last_day and other.first_day <= one.last_day
        if overlap and not any({one.experiment, other.experiment} <= set(group) for group in file.concurrent):
            raise InputError(
                f"{one.experiment} ({one.first_day} to {one.last_day}) and {other.experiment} ({other.first_day} to {other.last_day}) have"
                " overlapping periods: where they had the same shoppers, their effects can't be added; where they ran in independent"
                f" layers or on different shoppers, say so in the price file: `concurrent: [[{one.experiment}, {other.experiment}]]`"
            )


def _arms(report: ExperimentReport, shipped: Shipped, until: date) -> Iterator[Arm]:
    name = report.experiment
    treatments = [arm.name for arm in report.arms if arm.name != report.control]
    is_shipped = report.shipped not in (None, report.control)
    if is_shipped and report.shipped not in treatments:
        raise InputError(f"{name}: its report says that {report.shipped!r} was shipped; {closest(str(report.shipped), treatments)}")
    if (shipped.start or shipped.until) and not is_shipped:
        raise InputError(
            f"{name}: the price file says when it was shipped, its report that it wasn't; name the arm by `shipped` in the"
            " experiment's file and make the report anew, or take the days out of the price file"
        )
    since = shipped.start or report.last_day + timedelta(1)
    if is_shipped and since <= report.last_day:
        raise InputError(f"{name}: shipped on {since}, while the experiment ran until {report.last_day}; expected a later day")
    if is_shipped and since > until:
        raise InputError(f"{name}: shipped on {since}, after the last day that counts ({until}); count until a later day")
    for arm in treatments:
        metrics = dict(_metrics(report, arm))
        if REVENUE not in metrics:
            why = report.left_out.get(REVENUE, "the report has no such metric for it")
            raise InputError(
                f"{name}, arm {arm!r}: expected the metric {REVENUE!r}, got {', '.join(sorted(metrics)) or 'none'}: {why};"
                " make the report anew with a dataset file that names the column of `revenue`"
            )
        yield Arm(
            experiment=name,
            name=arm,
            first_day=report.first_day,
            last_day=report.last_day,
            shoppers_a_day=sum(each.shoppers for each in report.arms) / shipped.traffic / report.days,
            metrics=metrics,
            shipped_from=since if is_shipped and arm == report.shipped else None,
            shipped_until=shipped.until if is_shipped and arm == report.shipped else None,
        )


def _holdout(report: ExperimentReport, shipped: Shipped) -> Arm:
    arms = list(_arms(report.model_copy(update={"shipped": None}), shipped, report.last_day))
    if len(arms) != 1:
        raise InputError(
            f"{report.experiment}: expected a holdout of two arms, those without improvements and everybody else, got {len(arms) + 1}"
        )
    return arms[0]


def _metrics(report: ExperimentReport, arm: str) -> Iterator[tuple[str, Measured]]:
    """Yield what the report has of an arm: the effect on a shopper's total where it is one, and else the most precise result."""
    for metric in METRICS:
        results = [
            each
            for each in report.results
            if (each.metric, each.arm, each.segment, each.population) == (metric, arm, "", "without bots") and each.std_error > 0
        ]
        if not results:
            continue
        best: MetricResult = min(results, key=lambda each: each.std_error)
        effect, std_error = next(
            ((each.effect, each.std_error) for each in report.effects if (each.metric, each.arm) == (metric, arm) and each.std_error > 0),
            (best.effect, best.std_error),
        )
        if best.control <= 0:
            raise InputError(
                f"{report.experiment}: the control's {metric} is {best.control:g}; expected a mean above 0, which relative effects need"
            )
        yield metric, Measured(effect=effect, std_error=std_error, control=best.control, unit=best.unit)


def _left_out(reports: Sequence[ExperimentReport], arms: Sequence[Arm]) -> Iterator[tuple[str, str]]:
    for metric in METRICS:
        lacking = sorted({arm.experiment for arm in arms if metric not in arm.metrics})
        if lacking:
            why = next((report.left_out[metric] for report in reports if metric in report.left_out), "its report has no such metric")
            yield metric, f"{', '.join(lacking)} {'lacks' if len(lacking) == 1 else 'lack'} it: {why}"
