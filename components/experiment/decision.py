"""Decide today: ship an arm, stop, or go on until a day.

A metric enters with its estimate, its standard error and the share of the planned information that is reached; a boundary says which
|z| is beyond chance at that share. That of a fixed horizon decides nothing before the planned information is reached, and then compares
|z| with the normal quantile once; those for looks in between are in `components.experiment.looks`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil, inf, sqrt

from scipy.stats import norm

from components.experiment.report_schema import Decision, MetricDecision, Role
from components.experiment.sequential.design import conditional_power

Boundary = Callable[[float], float]
"""Share of the planned information, today's or a later one, to the two-sided critical value of |z|; infinite: nothing may be decided."""
MakeBoundary = Callable[[float], Boundary]
"""From an error rate, corrected for the number of tests, to a boundary."""
NEVER = 1e9
"""In place of an infinite critical value: JSON has none."""
HOPELESS = 0.1
"""Chance to prove the planned effect by the planned end, below which going on is no use."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known of a metric of an arm today.

    Attributes:
        metric: its name.
        arm: the treatment.
        role: a primary metric decides, a guardrail must not get worse, others don't count.
        higher_is_better: direction of the metric.
        effect: treatment minus control.
        std_error: of the effect, above 0.
        information: share of the planned information that is reached; 1: the planned end; 0: none is planned.
        margin: how much worse a guardrail may be, in the metric's unit.
        planned_effect: gain that the size was planned for, in the metric's unit; 0: none, so no stop for futility.
    """

    metric: str
    arm: str
    role: Role
    higher_is_better: bool
    effect: float
    std_error: float
    information: float
    margin: float = 0.0
    planned_effect: float = 0.0

    @property
    def gain(self) -> float:
        """The effect, positive where it is to the better."""
        return self.effect if self.higher_is_better else -self.effect


def fixed_horizon(alpha: float) -> Boundary:
    """Return the boundary of a test at the planned end: infinite before it, then the two-sided normal quantile of alpha."""
    critical = float(norm.isf(alpha / 2))
    return lambda information: critical if information >= 1 else inf


def assess(evidence: Evidence, boundary: Boundary) -> MetricDecision:
    """Return what a metric says today.

    A primary metric is better or worse beyond the boundary; short of it `undecided`, and `no effect` at the planned end. A guardrail is
    worse where it is so beyond the boundary and by more than its margin as far as is known (the estimate is), `no worse` where its
    interval excludes a loss beyond the margin, and else undecided.
    """
    critical = boundary(evidence.information)
    z = evidence.gain / evidence.std_error
    guarded = evidence.role == "guardrail"
    if z <= -critical and not (guarded and -evidence.gain <= evidence.margin):
        verdict = "worse"
    elif guarded:
        verdict = "no worse" if evidence.gain - critical * evidence.std_error > -evidence.margin else "undecided"
    elif z >= critical:
        verdict = "better"
    else:
        verdict = "no effect" if evidence.information >= 1 else "undecided"
    return MetricDecision.model_validate(
        {
            "metric": evidence.metric,
            "arm": evidence.arm,
            "role": evidence.role,
            "verdict": verdict,
            "z": z,
            "critical": min(critical, NEVER),
            "information": evidence.information,
        }
    )


def decide(
    evidence: Sequence[Evidence],
    *,
    primary: Boundary,
    guardrail: Boundary,
    first_day: date,
    days: int,
    faults: Sequence[str] = (),
) -> Decision:
    """Decide what to do today.

    Args:
        evidence: of all arms.
        primary: boundary of primary metrics, corrected for their number and that of arms.
        guardrail: boundary of guardrails.
        first_day: of exposures.
        days: with exposures so far.
        faults: of assignment or logging: with any, no figure can be trusted.

    Returns:
        `stop` with a fault, where a guardrail or a primary metric is worse in every arm, at the planned end without a better arm, or
        where even with the planned effect no arm has a chance of `HOPELESS` to be better by then (that may be ignored without raising
        an error rate); `ship` an arm with a better primary metric, none worse, and no guardrail worse; else `go on`.
    """
    assessed = [assess(each, guardrail if each.role == "guardrail" else primary) for each in evidence if each.role != "secondary"]
    metrics = tuple(assessed)
    if faults:
        return Decision(
            action="stop", arm=None, until=None, reasons=(*faults, "Repair it, and start anew under another name."), metrics=metrics
        )
    arms = list(dict.fromkeys(each.arm for each in assessed))
    worse = {arm: [each for each in assessed if each.arm == arm and each.verdict == "worse"] for arm in arms}
    better = {arm: [each for each in assessed if each.arm == arm and each.verdict == "better"] for arm in arms}
    open_guards = {arm: [e for e in assessed if e.arm == arm and e.role == "guardrail" and e.verdict == "undecided"] for arm in arms}
    winners = [arm for arm in arms if better[arm] and not worse[arm]]
    if winners:
        arm = max(winners, key=lambda name: max(each.z for each in better[name]))
        reasons = [_sentence(each) for each in better[arm]]
        reasons += [f"{each.metric} of {arm} isn't shown to be within its margin yet: watch it on." for each in open_guards[arm]]
        return Decision(action="ship", arm=arm, until=None, reasons=tuple(reasons), metrics=metrics)
    if arms and all(worse[arm] for arm in arms):
        return Decision(
            action="stop", arm=None, until=None, reasons=tuple(_sentence(each) for arm in arms for each in worse[arm]), metrics=metrics
        )
    information = min((each.information for each in evidence if each.role == "primary"), default=1.0)
    harmed = tuple(_sentence(each) for arm in arms for each in worse[arm])
    if information >= 1 or not assessed:
        text = "The planned size is reached and no primary metric is better." if assessed else "No metric could be compared."
        return Decision(action="stop", arm=None, until=None, reasons=(text, *harmed), metrics=metrics)
    chances = [_chance(each, primary) for each in evidence if each.role == "primary" and not worse[each.arm]]
    if chances and max(chances) < HOPELESS:
        text = f"Even with the planned effect, proof by the planned end has a chance of {max(chances):.1%}."
        return Decision(action="stop", arm=None, until=None, reasons=(text, *harmed), metrics=metrics)
    until = first_day + timedelta(days=ceil(days / information - 1e-9)) if information > 0 else None
    reached = f"{information:.0%} of the planned size is reached." if information > 0 else "No size is planned."
    open_ones = tuple(_sentence(each) for each in assessed if each.role == "primary" and each.verdict == "undecided")
    return Decision(action="go on", arm=None, until=until, reasons=(reached, *open_ones, *harmed), metrics=metrics)


def _chance(evidence: Evidence, boundary: Boundary) -> float:
    """Return the probability that a primary metric is better at the planned end, if its effect is the planned one; 1 without a plan."""
    if not (evidence.planned_effect > 0 and 0 < evidence.information < 1):
        return 1.0
    drift = evidence.planned_effect / (evidence.std_error * sqrt(evidence.information))
    return conditional_power(evidence.gain / evidence.std_error, evidence.information, drift=drift, critical=boundary(1.0))


def _sentence(each: MetricDecision) -> str:
    if each.verdict == "undecided":
        critical = f"today's critical value of {each.critical:.2f}" if each.critical < NEVER else "nothing is decided before the end"
        return f"{each.metric} of {each.arm} is undecided: z {each.z:+.2f}, {critical}."
    return f"{each.metric} of {each.arm} is {each.verdict}: z {each.z:+.2f}, beyond {each.critical:.2f}."
