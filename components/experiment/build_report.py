"""Analyse an experiment's shoppers, and put everything into a report."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache

import polars as pl

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.experiment.checks import Assigned, check_all, fault_texts
from components.experiment.decision import NEVER, Evidence, MakeBoundary, decide
from components.experiment.experiment_file import ExperimentFile
from components.experiment.looks import Look, daily_looks, make_boundary, rule_text
from components.experiment.metrics import BY_NAME, Metric, missing_needs, outcome_actions
from components.experiment.novelty import novelty
from components.experiment.outliers import cap_amounts
from components.experiment.report_schema import (
    ArmSummary,
    DayEffect,
    Decision,
    ExperimentReport,
    MetricResult,
    NoveltyTrend,
    OffPolicyEstimate,
)
from components.experiment.results import Analysis, compare_all, judged_rows, with_role
from components.experiment.shopper_effects import shopper_effects
from components.experiment.shoppers import Shoppers

DEFAULT_MARGIN = 0.05
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, kw_only=True)
class ReportInput:
    """What a report is made from.

    Attributes:
        file: of the experiment.
        dataset: of the log.
        shoppers: of the experiment.
        last_day: that counts, since 1970.
        counts: of reading.
        segments: name to condition on the table of shoppers.
        off_policy: estimates of offline evaluation.
    """

    file: ExperimentFile
    dataset: Dataset
    shoppers: Shoppers
    last_day: int
    counts: Mapping[str, int]
    segments: Mapping[str, pl.Expr]
    off_policy: tuple[OffPolicyEstimate, ...] = ()


def build_report(source: ReportInput, *, now: datetime) -> ExperimentReport:
    """Analyse an experiment.

    Raises:
        InputError: an arm has no shopper, or a primary metric or a guardrail that the file names has no events.
    """
    file, shoppers = source.file, source.shoppers
    assigned = Assigned(shares=file.arms, control=file.control)
    people = shoppers.table.filter(~pl.col("bot"))
    _check_arms(people, assigned)
    metrics, left_out = chosen_metrics(file, source.dataset)
    everybody = cap_amounts(shoppers.table, file.cap).table
    capped = cap_amounts(people, file.cap)
    looks = daily_looks(shoppers, file, last_day=source.last_day)
    boundary = cache(make_boundary(file.rule, looks))  # a critical value of many looks takes a second
    analysis = Analysis(
        arms=assigned.arms,
        control=file.control,
        metrics=metrics,
        currency=file.currency,
        alpha=file.alpha,
        critical=None if file.rule == "end" else min(boundary(file.alpha)(looks[-1].share), NEVER),
    )
    results = compare_all(capped.table, everybody, analysis, source.segments)
    chosen = judged_rows(results)
    left_out |= _without_results(metrics, chosen, people)
    checks = check_all(shoppers, assigned, source.counts)
    first = int(people["first_day"].min())  # type: ignore[arg-type]
    days = source.last_day - first + 1
    first_day, last_day = _EPOCH + timedelta(days=first), _EPOCH + timedelta(days=source.last_day)
    effects, trends = _novelty(shoppers, people, file, source.last_day)
    return ExperimentReport(
        experiment=file.experiment,
        dataset=source.dataset.name,
        created=now,
        currency=file.currency,
        control=file.control,
        arms=tuple(_summary(shoppers.table, index, name, share) for index, (name, share) in enumerate(file.arms.items())),
        first_day=first_day,
        last_day=last_day,
        days=days,
        planned_days=file.planned.days,
        planned_shoppers=file.planned.shoppers,
        looks=file.rule,
        looks_used=len(looks) if file.rule == "planned" else 1,
        rule=rule_text(file, looks),
        confidence=1 - file.alpha,
        outliers=capped.policy,
        shipped=file.shipped,
        decision=_decision(chosen, file, looks[-1], boundary, fault_texts(checks), first_day=first_day, days=days),
        effects=tuple(shopper_effects(chosen, people, assigned, file, first_day=first_day, last_day=last_day)),
        results=tuple(results),
        checks=tuple(checks),
        novelty=tuple(effects),
        trends=tuple(trends),
        off_policy=tuple(_beside(each, chosen) for each in source.off_policy),
        counts={name: number for name, number in sorted(source.counts.items()) if number},
        left_out=left_out,
    )


def chosen_metrics(file: ExperimentFile, dataset: Dataset) -> tuple[tuple[Metric, ...], dict[str, str]]:
    """Return the metrics of an experiment in their roles, and those that the dataset can't have, with the reason.

    Raises:
        InputError: a primary metric or a guardrail can't be had.
    """
    actions = outcome_actions(dataset, click=file.click, purchase=file.purchase)
    metrics, left_out = [], {}
    for name in dict.fromkeys((*file.primary, *file.guardrails, *file.metrics)):
        role = "primary" if name in file.primary else "guardrail" if name in file.guardrails else "secondary"
        metric = with_role(BY_NAME[name], role)  # type: ignore[arg-type]
        if (why := missing_needs(metric, dataset, actions)) is None:
            metrics.append(metric)
        elif role == "secondary":
            left_out[name] = why
        else:
            raise InputError(f"the {role} metric {name!r} can't be had: {why}; or take another")
    return tuple(metrics), left_out


def _check_arms(people: pl.DataFrame, assigned: Assigned) -> None:
    there = set(people["arm"].unique().to_list())
    empty = [name for index, name in enumerate(assigned.arms) if index not in there]
    if empty:
        raise InputError(
            f"expected shoppers in each of the arms {', '.join(assigned.arms)}, got none in {', '.join(empty)}; is the arm served, and"
            " spelt as in the experiments file? Leave it out of `arms` if it isn't"
        )


def _without_results(metrics: Sequence[Metric], chosen: Sequence[MetricResult], people: pl.DataFrame) -> dict[str, str]:
    """Return why metrics have no result.

    Raises:
        InputError: a primary metric has no events.
    """
    left_out = {}
    for metric in metrics:
        if metric.name in {row.metric for row in chosen}:
            continue
        total = float(people[metric.total].sum())
        why = (
            ("every arm has the same value for every shopper" if total else f"no shopper has any {metric.total.replace('_', ' ')}")
            if len(people) >= 60
            else "there are too few shoppers"
        )
        if metric.role == "primary":
            raise InputError(
                f"the primary metric {metric.name!r} can't be compared: {why} in {len(people):,} shoppers; look at the"
                " interactions of the log, or take another metric"
            )
        left_out[metric.name] = why
    return left_out


def _decision(
    chosen: Sequence[MetricResult],
    file: ExperimentFile,
    today: Look,
    boundary: MakeBoundary,
    faults: tuple[str, ...],
    *,
    first_day: date,
    days: int,
) -> Decision:
    information = min(today.share, 1.0) if file.rule != "any" or file.is_planned else 0.0
    evidence = [
        Evidence(
            metric=row.metric,
            arm=row.arm,
            role=row.role,
            higher_is_better=row.higher_is_better,
            effect=row.effect,
            std_error=row.std_error,
            information=information,
            margin=file.margins.get(row.metric, DEFAULT_MARGIN) * abs(row.control),
            planned_effect=(file.planned.effect or 0.0) * abs(row.control),
        )
        for row in chosen
    ]
    tests = len(file.primary) * (len(file.arms) - 1)
    return decide(
        evidence,
        primary=boundary(file.alpha / tests),
        guardrail=boundary(file.alpha),
        first_day=first_day,
        days=days,
        faults=faults,
    )


def _beside(estimate: OffPolicyEstimate, chosen: Sequence[MetricResult]) -> OffPolicyEstimate:
    """Return an estimate with what was measured of the same arm."""
    for row in chosen:
        if (row.metric, row.arm) == ("click_rate", estimate.arm):
            measured = {"measured": row.relative, "measured_lower": row.relative_lower, "measured_upper": row.relative_upper}
            return estimate.model_copy(update=measured)
    return estimate


def _summary(table: pl.DataFrame, index: int, name: str, share: float) -> ArmSummary:
    arm = table.filter(pl.col("arm") == index)
    people = arm.filter(~pl.col("bot"))
    return ArmSummary(
        name=name,
        share=share,
        shoppers=len(people),
        sessions=int(people["sessions"].sum()),
        lists=int(people["lists"].sum()),
        bots=len(arm) - len(people),
    )


def _novelty(shoppers: Shoppers, people: pl.DataFrame, file: ExperimentFile, last_day: int) -> tuple[list[DayEffect], list[NoveltyTrend]]:
    effects: list[DayEffect] = []
    trends: list[NoveltyTrend] = []
    who = people.select("user", "arm", "first_day")
    for column in ("clicks", "revenue"):
        if shoppers.days[column].sum() != 0 and math.isfinite(shoppers.days[column].sum()):
            by_day, slopes = novelty(shoppers.days, who, column, arms=tuple(file.arms), control=file.control, last_day=last_day)
            effects += by_day
            trends += slopes
    return effects, trends
