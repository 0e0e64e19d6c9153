"""Count the looks at an experiment, and make the boundary of the rule by which it is looked at.

A report is made again and again from a log that grows. Its looks are the ends of the days, whether or not anybody looked: so they follow
from the file and the log alone, and no look can be forgotten. Alpha is spent by the share of the planned size; the information of looks
is in proportion to their lists, which are shown before anybody acts (Lan & DeMets 1989, "Group sequential procedures: calendar versus
information time"). Both are known once a day has passed, and stay what they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cache

import polars as pl

from components.experiment.decision import Boundary, MakeBoundary, fixed_horizon
from components.experiment.experiment_file import ExperimentFile
from components.experiment.report_schema import Looks
from components.experiment.sequential.boundaries import critical_values
from components.experiment.sequential.confidence_sequence import anytime_critical_value
from components.experiment.shoppers import Shoppers

ANYTIME_DAYS = 14
"""At which intervals are narrowest, as multiples of the standard error, where looks are at any time and no size is planned."""
LEAST_STEP = 1e-3
"""Share by which lists grow between two looks; a day that brings less is one with the look before it."""


@dataclass(frozen=True)
class Look:
    """Hold what an experiment has at the end of a day.

    Attributes:
        day: since 1970.
        share: of the planned size.
        lists: so far.
    """

    day: int
    share: float
    lists: float


def daily_looks(shoppers: Shoppers, file: ExperimentFile, *, last_day: int) -> tuple[Look, ...]:
    """Return the looks at the ends of days, from the first with lists on to the last day, or to the one that reaches the planned size.

    With looks at any time they go on beyond the planned size.
    """
    lists = dict(shoppers.by_arm_day.group_by("day").agg(pl.col("lists").sum()).iter_rows())
    joined = dict(shoppers.table.group_by("first_day").len().iter_rows())
    first = min(lists)
    looks: list[Look] = []
    total = people = 0
    for day in range(first, last_day + 1):
        total, people = total + lists.get(day, 0), people + joined.get(day, 0)
        look = Look(day, _share(file, first=first, day=day, people=people), total)
        if look.share == 0:
            continue
        if looks and total < looks[-1].lists * (1 + LEAST_STEP):
            looks[-1] = replace(looks[-1], day=day, share=look.share)  # alpha is spent on the same z again
        else:
            looks.append(look)
        if look.share >= 1 and file.rule != "any":
            break
    return tuple(looks)


def _share(file: ExperimentFile, *, first: int, day: int, people: int) -> float:
    """Return the share of the planned size at the end of a day: of its days or its shoppers, whichever is behind."""
    planned = file.planned
    days = planned.days
    if not planned.is_sized:
        if file.until is not None:
            days = (file.until - date(1970, 1, 1)).days - first
        elif file.rule == "any":
            days = ANYTIME_DAYS
        else:
            return 1.0
    reached = [(day - first + 1) / days] if days else []
    reached += [people / planned.shoppers] if planned.shoppers else []
    return min(reached) if file.rule == "any" else min(*reached, 1.0)


def make_boundary(rule: Looks, looks: Sequence[Look]) -> MakeBoundary:
    """Return the boundary of a rule, by error rate, after the looks so far, today's the last."""
    match rule:
        case "planned":
            return lambda alpha: _spending(alpha, looks)
        case "any":
            return lambda alpha: _anytime(alpha, looks)
        case "end":
            return fixed_horizon


def _spending(alpha: float, looks: Sequence[Look]) -> Boundary:
    @cache
    def critical(share: float) -> float:
        at = _until(share, looks)
        information = [look.lists / looks[0].lists for look in at]
        return float(critical_values(information, alpha, times=[look.share for look in at])[-1])

    return critical


def _anytime(alpha: float, looks: Sequence[Look]) -> Boundary:
    # The first day says how many lists the planned size has: one scale of information for all moments.
    planned_lists = looks[0].lists / looks[0].share
    return lambda share: anytime_critical_value(_until(share, looks)[-1].lists / planned_lists, alpha)


def _until(share: float, looks: Sequence[Look]) -> tuple[Look, ...]:
    """Return the looks so far, and one to come where its share is beyond today's: it has lists in proportion."""
    today = looks[-1]
    if share <= today.share * (1 + LEAST_STEP):
        return tuple(looks)
    return (*looks, replace(today, share=share, lists=today.lists * share / today.share))


def rule_text(file: ExperimentFile, looks: Sequence[Look]) -> str:
    """Say when an experiment's result may be looked at, and what its intervals and p hold for."""
    at_most = f"in at most {100 * file.alpha:g} % of the experiments without an effect a primary metric is ever called better or worse"
    match file.rule:
        case "planned":
            return (
                f"Looks are planned, one after each whole day until the planned size: today's is number {len(looks)}. Alpha is spent over"
                f" them (O'Brien-Fleming type), so {at_most}. Intervals and p hold for all of these looks at once."
            )
        case "any":
            return (
                f"It may be looked at whenever and as long as one likes: {at_most}. Intervals and p"
                " are anytime-valid, a confidence sequence: they hold at all moments at once."
            )
        case "end":
            when = (
                "once, at the planned size; nothing is decided before"
                if file.is_planned
                else "once, now: all that the log has is what was planned"
            )
            return f"It is tested {when}. Intervals and p hold for that one look, not for looks before or after it."
