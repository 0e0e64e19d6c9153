"""Decide whether a model may be released, and word the decision in sentences.

One rule for every change against the champion, over the whole window and within slices: a model is refused only for a
drop that is significantly greater than the limit. The null hypothesis of each comparison is that the metric fell by no
more than its limit; its p-value is one-sided, from the paired standard error over shoppers (`intervals`). Two families
of hypotheses are each tested at `FAMILY_ALPHA` by Holm's procedure: those over the whole window, one for each metric of
`drop`, and those of `slice_drop`, one for each metric and slice that is judged. So a model that is nowhere worse than
its limits is refused with a chance of at most 5 % in all, however many slices there are. With one hypothesis it is the
95 % interval that must lie below the limit as a whole.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from components.contract.dataset import Gates
from components.contract.sources import AMOUNTS
from components.evaluation.display_names import Slice, metric_caption, slice_caption
from components.evaluation.gates.metric_names import check_metric_names
from components.evaluation.metrics.intervals import FEWEST_SHOPPERS, holm
from components.evaluation.results import Comparison, SliceMetrics, compared

FAMILY_ALPHA = 0.025


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one gate."""

    passed: bool
    text: str

    @property
    def sentence(self) -> str:
        """The text behind `Passed: ` or `Refused: `."""
        return f"{'Passed' if self.passed else 'Refused'}: {self.text}"


@dataclass(frozen=True, slots=True)
class GateResult:
    """The results of all gates: a model passes if it passes each."""

    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether the model may be released."""
        return all(finding.passed for finding in self.findings)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The sentence of each finding, refusals first."""
        return tuple(finding.sentence for finding in sorted(self.findings, key=lambda finding: finding.passed))


def check_gates(metrics: Iterable[SliceMetrics], gates: Gates, *, slices: Iterable[Sequence[str]]) -> GateResult:
    """Check the challenger against the gates.

    Args:
        metrics: of both models, overall and by slice.
        gates: as in the dataset file.
        slices: as passed to `eval_config`; one that no request falls into is refused, as it can't be checked.

    Raises:
        DatasetFileError: if a gate names no metric that it can limit.
    """
    check_metric_names(gates, amounts=AMOUNTS)  # `eval_config` has checked which amounts the examples have
    comparisons = compared(metrics)
    overall = next((each for each in comparisons if not each.slice), None)
    if overall is None:
        return GateResult((Finding(False, "there was no request to evaluate on."),))
    findings = [*_finite(overall), *_floors(overall, gates), *_drops(overall, gates)]
    if gates.slice_drop:
        findings += _slice_drops(comparisons, gates, [sorted(names) for names in slices])
    return GateResult(tuple(findings))


def _finite(overall: Comparison) -> Iterator[Finding]:
    if invalid := int(overall.challenger["invalid_scores"]):
        yield Finding(False, f"{invalid:,} of {int(overall.challenger['impressions']):,} scores are no finite numbers.")


def _floors(overall: Comparison, gates: Gates) -> Iterator[Finding]:
    for metric, floor in gates.floor.items():
        value = overall.challenger[metric]
        passed = value >= floor
        shown, bound = _apart(value, floor)
        yield Finding(passed, f"{metric_caption(metric)} {shown} is {'at least' if passed else 'below'} {bound}.")


def _drops(overall: Comparison, gates: Gates) -> Iterator[Finding]:
    fallen = _fallen([(overall, metric) for metric in gates.drop], gates.drop)
    for metric, drop in gates.drop.items():
        defined, margin = math.isfinite(overall.change(metric)), overall.change_margin(metric)
        counts = _counts(overall)
        if math.isnan(margin):
            few = f"with fewer than {FEWEST_SHOPPERS} shoppers who have a positive" if overall.judged_shoppers < FEWEST_SHOPPERS else "here"
            sure = f"limit {drop:.3f}, not judged: no interval {few}, {counts}"
        else:
            sure = f"± {_number(margin)}, limit {_limit(overall, metric, drop)}, {counts}"
        unsure = (
            ", not surely by more than the limit"
            if defined and overall.change(metric) < -drop and not _surely(fallen, overall, metric)
            else ""
        )
        yield Finding(defined and not _surely(fallen, overall, metric), f"{_change(overall, metric, drop)} ({sure}){unsure}.")


def _slice_drops(comparisons: Sequence[Comparison], gates: Gates, slices: Sequence[Sequence[str]]) -> Iterator[Finding]:
    """Test all slices as one family: with forty slices, one is significant by itself now and then by chance."""
    members = {tuple(names): [each for each in comparisons if [name for name, _ in each.slice] == names] for names in slices}
    large = {names: [each for each in some if each.judged_shoppers >= gates.min_shoppers] for names, some in members.items()}
    hypotheses = [
        (each, metric)
        for some in large.values()
        for each in some
        for metric, drop in gates.slice_drop.items()
        if not math.isnan(each.falls_by_chance(metric, limit=drop))
    ]
    fallen = _fallen(hypotheses, gates.slice_drop)
    among = f"among {len(hypotheses)} comparison{'s' * (len(hypotheses) != 1)}"
    for names, some in members.items():
        what = " x ".join(names)
        if not some:
            yield Finding(False, f"no request has a value of {what}, by which slices were asked for.")
            continue
        for metric, drop in gates.slice_drop.items():
            worse = [each for each in large[names] if _surely(fallen, each, metric)]
            for each in worse:
                surely = -each.change(metric) - each.change_margin(metric, confidence=1 - 2 * fallen[each.slice, metric])
                shown, limit = _apart(surely, drop)
                where = f"{slice_caption(each.slice)} (surely by {shown} {among}, limit {limit}, {_counts(each)})"
                yield Finding(False, f"{_change(each, metric, drop)} in {where}.")
            if not worse:
                judged = sum((each.slice, metric) in {(one.slice, tested) for one, tested in hypotheses} for each in large[names])
                counts = [f"{judged} judged {among}"]
                if small := len(some) - len(large[names]):
                    counts.append(f"{small} with fewer than {gates.min_shoppers:,} shoppers to judge by")
                if unsure := len(large[names]) - judged:
                    counts.append(f"{unsure} without an interval")
                yield Finding(
                    True, f"no {metric_caption(metric)} by {what} surely fell by more than {_number(drop)} ({', '.join(counts)})."
                )


def _fallen(hypotheses: Sequence[tuple[Comparison, str]], limits: Mapping[str, float]) -> dict[tuple[Slice, str], float]:
    """Return by slice and metric those that significantly fell by more than the limit, with the level of the test."""
    p_values = {(each.slice, metric): each.falls_by_chance(metric, limit=limits[metric]) for each, metric in hypotheses}
    known = {key: p for key, p in p_values.items() if not math.isnan(p)}
    levels = zip(known, holm(list(known.values()), alpha=FAMILY_ALPHA), strict=True)
    return {key: level for key, level in levels if level is not None}


def _surely(fallen: Mapping[tuple[Slice, str], float], each: Comparison, metric: str) -> bool:
    return (each.slice, metric) in fallen


def _counts(each: Comparison) -> str:
    return f"{each.judged_requests:,} requests of {each.judged_shoppers:,} shoppers"


def _change(each: Comparison, metric: str, drop: float) -> str:
    change = each.change(metric)
    if math.isnan(change):
        return f"{metric_caption(metric)} is not defined, so it can't be held against the champion"
    if change >= 0:
        return f"{metric_caption(metric)} rose by {_number(change)} against the champion"
    return f"{metric_caption(metric)} fell by {_apart(-change, drop)[0]} against the champion"


def _limit(each: Comparison, metric: str, drop: float) -> str:
    return _apart(-each.change(metric), drop)[1]


def _apart(value: float, bound: float) -> tuple[str, str]:
    """Format both numbers with as many digits (3 to 9) as it takes to differ."""
    digits = next((n for n in range(3, 9) if f"{value:.{n}f}" != f"{bound:.{n}f}"), 9)
    digits = 3 if value == bound else digits
    return f"{value:.{digits}f}", f"{bound:.{digits}f}"


def _number(value: float) -> str:
    return f"{value:.3f}"
