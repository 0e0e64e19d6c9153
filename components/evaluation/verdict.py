"""Whether a model may be released, in sentences. The rules are those given to TFMA by `config.eval_config`, so the two agree."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from components.contract.dataset import Gates
from components.contract.sources import AMOUNTS
from components.evaluation.captions import metric_caption, slice_caption
from components.evaluation.gates import check_metric_names
from components.evaluation.results import Comparison, SliceMetrics, compared


@dataclass(frozen=True, slots=True)
class Finding:
    """What one gate found."""

    passed: bool
    text: str

    @property
    def sentence(self) -> str:
        """`Passed: ...` or `Refused: ...`."""
        return f"{'Passed' if self.passed else 'Refused'}: {self.text}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What all gates found: a model passes if it passes each."""

    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether the model may be released."""
        return all(finding.passed for finding in self.findings)

    @property
    def sentences(self) -> tuple[str, ...]:
        """One for each finding, refusals first."""
        return tuple(finding.sentence for finding in sorted(self.findings, key=lambda finding: finding.passed))


def verdict(metrics: Iterable[SliceMetrics], gates: Gates, *, slices: Iterable[Sequence[str]]) -> Verdict:
    """Holds the challenger against the gates.

    Args:
        metrics: of both models, overall and by slice.
        gates: as in the dataset file.
        slices: as given to `eval_config`; one that no request falls into is refused: what was to be watched can't be seen.

    Raises:
        DatasetFileError: if a gate names no metric that it can be put on.
    """
    check_metric_names(gates, amounts=AMOUNTS)  # whether the examples have them, `eval_config` has seen to
    comparisons = compared(metrics)
    overall = next((each for each in comparisons if not each.slice), None)
    if overall is None:
        return Verdict((Finding(False, "there was no request to evaluate on."),))
    findings = [*_finite(overall), *_floors(overall, gates), *_drops(overall, gates)]
    if gates.slice_drop:
        for names in slices:
            members = [each for each in comparisons if [name for name, _ in each.slice] == sorted(names)]
            findings += _slice_drops(members, gates, names)
    return Verdict(tuple(findings))


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
    for metric, drop in gates.drop.items():
        passed = overall.change(metric) >= -drop
        margin = overall.change_margin(metric)
        limit = f"limit {_limit(overall, metric, drop)}, {overall.judged_requests:,} requests"
        limit = limit if math.isnan(margin) else f"± {_number(margin)}, {limit}"
        yield Finding(passed, f"{_change(overall, metric, drop)} ({limit}).")


def _slice_drops(members: Sequence[Comparison], gates: Gates, names: Sequence[str]) -> Iterator[Finding]:
    """Refused is what fell by more than the limit even at the upper end of the change's interval."""
    what = " x ".join(names)
    if not members:
        yield Finding(False, f"no request has a value of {what}, by which slices were asked for.")
        return
    large = [each for each in members if each.judged_requests >= gates.min_requests]
    for metric, drop in gates.slice_drop.items():
        judged = [each for each in large if math.isfinite(each.change(metric) + each.change_margin(metric))]
        worse = [each for each in judged if not each.change(metric) + each.change_margin(metric) >= -drop]
        for each in worse:
            surely, limit = _apart(-each.change(metric) - each.change_margin(metric), drop)
            where = f"{slice_caption(each.slice)} (surely by {surely}, limit {limit}, {each.judged_requests:,} requests)"
            yield Finding(False, f"{_change(each, metric, drop)} in {where}.")
        if not worse:
            counts = [f"{len(judged)} judged"]
            if small := len(members) - len(large):
                counts.append(f"{small} with fewer than {gates.min_requests:,} requests to judge by")
            if unsure := len(large) - len(judged):
                counts.append(f"{unsure} without an interval")
            yield Finding(True, f"no {metric_caption(metric)} by {what} surely fell by more than {_number(drop)} ({', '.join(counts)}).")


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
    """Both numbers with as many digits (3 to 9) as it takes to tell them apart."""
    digits = next((n for n in range(3, 9) if f"{value:.{n}f}" != f"{bound:.{n}f}"), 9)
    digits = 3 if value == bound else digits
    return f"{value:.{digits}f}", f"{bound:.{digits}f}"


def _number(value: float) -> str:
    return f"{value:.3f}"
