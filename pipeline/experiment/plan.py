"""Plan an experiment from a shop's log: `shelfrank experiment plan`."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import polars as pl

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.experiment.experiment_file import Bots
from components.experiment.metrics import METRICS, missing_needs, outcome_actions
from components.experiment.outliers import cap_amounts
from components.experiment.plan import Design, ExperimentPlan, PlannedMetric, days_needed, plan_metric, weekdays
from components.experiment.shoppers import Shoppers, build_shoppers
from pipeline.drift.json_chunks import Say
from pipeline.experiment.log_window import log_window
from pipeline.experiment.read_log import last_day, read_totals
from pipeline.experiment.shopper_lists import LogQuery

CAP = 0.999
_ORDER = [metric.name for metric in METRICS]


@dataclass(frozen=True, kw_only=True)
class PlanConfig:
    """What to plan.

    Attributes:
        dataset: of the log.
        log: the service's folder.
        until: the day after the last that is looked at; None: the log's last day, which may be cut, is left out.
        durations: days of the experiment to look at, ascending.
        pre_period_s: before it, for CUPED.
        design: of the experiment.
    """

    dataset: Dataset
    log: Path
    until: date | None
    durations: tuple[int, ...]
    pre_period_s: float
    design: Design


def _say(say: Say, days: int, text: str) -> None:
    say(f"{days} days, {text}")


def plan_experiment(config: PlanConfig, *, say: Say) -> ExperimentPlan:
    """Read the log once for each duration, ending on the same day, and plan every metric that the dataset has.

    Raises:
        InputError: the log has no lists, or too few for a plan of any metric.
    """
    until = config.until or last_day(config.log, config.dataset.zone_name)
    actions = outcome_actions(config.dataset)
    missing = {metric.name: missing_needs(metric, config.dataset, actions) for metric in METRICS}
    left_out = {name: why for name, why in missing.items() if why is not None}
    planned: list[PlannedMetric] = []
    longest: Shoppers | None = None
    for days in config.durations:
        window = log_window(until - timedelta(days=days), until, pre_period_s=config.pre_period_s, zone=config.dataset.zone_name)
        totals = read_totals(config.log, config.dataset, LogQuery(), window, actions, Counter(), say=partial(_say, say, days))
        longest = build_shoppers(totals, Bots())
        table = cap_amounts(longest.table.filter(~pl.col("bot")), CAP).table
        for metric in METRICS:
            if metric.name not in left_out:
                row = plan_metric(table, metric, config.design, days=days)
                planned += [] if row is None else [row]
    if not planned or longest is None:
        raise InputError(f"{config.log}: expected at least 60 shoppers in the experiment's share of the log, got fewer; raise --traffic")
    seen = {each.metric for each in planned}
    left_out |= {metric.name: "no shopper has any" for metric in METRICS if metric.name not in seen and metric.name not in left_out}
    return ExperimentPlan(
        dataset=config.dataset.name,
        arms=config.design.arms,
        traffic=config.design.traffic,
        alpha=config.design.alpha,
        power=config.design.power,
        asked_effect=config.design.effect,
        currency=config.design.currency,
        metrics=tuple(sorted(planned, key=lambda each: (_ORDER.index(each.metric), each.days))),
        days_needed=days_needed(planned),
        weekdays=weekdays(longest.by_arm_day),
        left_out=left_out,
    )
