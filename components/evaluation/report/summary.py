"""Summarize the evaluation in sentences for the shop's owner, and list the slices in which a metric fell."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from components.evaluation.display_names import metric_caption, slice_caption
from components.evaluation.gates.gate_result import GateResult
from components.evaluation.report.table import margin_text, value_text
from components.evaluation.results import Comparison

FELL_BY = ("auc", "ndcg_at_10")
_HIT_RATE, _PAIRS = "hit_rate_at_5", "auc"


@dataclass(frozen=True, slots=True)
class Fall:
    """A slice in which a metric is lower than the champion's.

    Attributes:
        metric: its caption.
        where: the slice's.
        by: how much lower it is, above 0.
        margin: half of the 95 % interval; NaN where there is none.
        requests: of the slice.
        judged: requests with a positive, as gates count them.
    """

    metric: str
    where: str
    by: float
    margin: float
    requests: int
    judged: int

    @property
    def sure(self) -> bool:
        """Whether the interval excludes 0."""
        return self.by > self.margin

    @property
    def sentence(self) -> str:
        """The drop in words: `AUC in device=tv fell by 0.200 ± 0.020 (90 requests, 40 judged).`."""
        counts = f"{self.requests:,} requests, {self.judged:,} judged"
        return f"{self.metric} in {self.where} fell by {value_text(self.by)}{margin_text(self.margin)} ({counts})."


def falls(comparisons: Sequence[Comparison]) -> list[Fall]:
    """List every slice in which one of `FELL_BY` fell: the sure ones first, then by metric, the largest first."""
    lower = [
        Fall(
            metric_caption(metric),
            slice_caption(each.slice),
            -each.change(metric),
            each.change_margin(metric),
            int(each.challenger["requests"]),
            each.judged_requests,
        )
        for each in comparisons
        for metric in FELL_BY
        if each.slice and metric in each.challenger and metric in each.champion and each.change(metric) < 0
    ]
    return sorted(lower, key=lambda fall: (not fall.sure, fall.metric, -fall.by, fall.where))


def owner_sentences(overall: Comparison | None, verdict: GateResult, *, release: int | None, champion_order: str) -> tuple[str, ...]:
    """Say what the model changes for shoppers, with its interval, and why it was released or not.

    Args:
        overall: both models over all requests; None: there was none.
        verdict: of the gates and the rehearsal.
        release: number of the release, None where there is none.
        champion_order: the order that the model is compared with, see `components.champion.baseline_rule`.
    """
    return (*(() if overall is None else _compared(overall, champion_order)), _outcome(verdict, release))


def _compared(overall: Comparison, champion_order: str) -> tuple[str, ...]:
    if _known(overall, _HIT_RATE):
        metric, what = _HIT_RATE, "shoppers who took something from a list"
        claim = "would have found some of it among the first 5 places of the new order"
    elif _known(overall, _PAIRS):
        metric, what = _PAIRS, "pairs of a product that was taken and one that was not"
        claim = "have the one that was taken first in the new order"
    else:
        return ("There is nothing to compare the orders by: no shopper took anything.",)
    new, old = (round(100 * values[metric]) for values in (overall.challenger, overall.champion))
    counted = f"Of 100 {what}, {new} {claim}, {old} in {champion_order}."
    change, margin = overall.change(metric), overall.change_margin(metric)
    judged = f"{overall.judged_requests:,} such lists"
    if math.isnan(margin):
        return counted, f"How sure that is can't be said: {judged} are too few."
    low, high = round(100 * (change - margin)), round(100 * (change + margin))
    between = f"95 % sure, from {judged}: between {_difference_text(low)} and {_difference_text(high)}"
    chance = abs(change) <= margin
    return counted, f"That is {_difference_text(new - old)}, which {'may be' if chance else 'is hardly'} chance ({between})."


def _outcome(verdict: GateResult, release: int | None) -> str:
    refusals = [finding.text.rstrip(".") for finding in verdict.findings if not finding.passed]
    if refusals:
        return f"Not released, because {'; and because '.join(refusals)}."
    checks = f"it passed all {len(verdict.findings)} checks below" if len(verdict.findings) != 1 else "it passed the check below"
    return f"Released as version {release}, because {checks}." if release is not None else f"Not released yet, though {checks}."


def _known(overall: Comparison, metric: str) -> bool:
    return all(math.isfinite(values.get(metric, math.nan)) for values in (overall.challenger, overall.champion))


def _difference_text(count: int) -> str:
    return "as many" if not count else f"{abs(count)} {'more' if count > 0 else 'fewer'}"
