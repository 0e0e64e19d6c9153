"""Decide today: ship, stop, or go on until a day."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from components.contract.errors import InputError
from components.experiment.sequential.boundaries import CLOSEST, checked_looks, critical_value
from components.experiment.sequential.confidence_sequence import anytime_critical_value
from components.experiment.sequential.design import conditional_power
from components.experiment.sequential.estimates import Interval, checked_std_error
from components.experiment.sequential.spending import Spending

HOPELESS = 0.1  # conditional power under the planned effect at which going on is no use
Action = Literal["ship", "stop", "go on"]
Looking = Literal["planned", "anytime"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Hold what was fixed before the experiment began.

    Attributes:
        first_day: of exposures.
        alpha: of both sides.
        looking: `planned`: alpha is spent at the looks; `anytime`: by a confidence sequence, for looks nobody planned.
        spending: how fast alpha is spent at planned looks.
        effect: that the sample was planned for, in the metric's unit, of either sign; None: no stop for futility.
        higher_is_better: whether a positive effect is an improvement.
    """

    first_day: date
    alpha: float = 0.05
    looking: Looking = "planned"
    spending: Spending = "obrien-fleming"
    effect: float | None = None
    higher_is_better: bool = True


@dataclass(frozen=True)
class Today:
    """Hold the answer.

    Attributes:
        action: ship the treatment, stop without it, or go on.
        until: where it goes on, the day on which the planned information is expected at the present rate.
        z: estimate over standard error.
        critical: two-sided critical value of |z| today.
        interval: of the effect, right at all looks at once.
        share: of the planned information that is reached.
        reason: in a sentence.
    """

    action: Action
    until: date | None
    z: float
    critical: float
    interval: Interval
    share: float
    reason: str


def decide_today(estimate: float, std_error: float, looks: Sequence[float], plan: Plan, *, today: date) -> Today:
    """Decide what to do with an experiment today.

    The chance to ship or stop by the critical value a treatment without effect is at most `plan.alpha`. The stop for
    futility isn't binding: it may be ignored without raising that chance.

    Args:
        estimate: of the effect, treatment minus control.
        std_error: its standard error.
        looks: shares of the planned information at the looks so far, today's the last.
        plan: of the experiment.
        today: last day whose exposures count.

    Raises:
        InputError: an argument is out of range, or today is before the plan's first day.
    """
    checked_std_error(std_error)
    share = float(checked_looks(looks)[-1])
    days = (today - plan.first_day).days + 1
    if days < 1:
        raise InputError(f"expected a day from the experiment's first, {plan.first_day}, on, got {today}")
    critical = _critical(looks, plan)
    z = estimate / std_error
    interval = Interval(estimate - critical * std_error, estimate + critical * std_error)
    better = z if plan.higher_is_better else -z

    def answer(action: Action, reason: str, until: date | None = None) -> Today:
        return Today(action, until, z, critical, interval, share, reason)

    if better >= critical:
        return answer("ship", f"the treatment is better: |z| of {abs(z):.2f} reaches today's critical value of {critical:.2f}")
    if better <= -critical:
        return answer("stop", f"the treatment is worse: |z| of {abs(z):.2f} reaches today's critical value of {critical:.2f}")
    if share >= 1:
        return answer("stop", f"the planned information is reached without proof of an effect: |z| of {abs(z):.2f} is below {critical:.2f}")
    if plan.effect is not None and share <= 1 - CLOSEST:
        last = _critical([*looks, 1.0], plan)
        drift = abs(plan.effect) / (std_error * math.sqrt(share))
        chance = conditional_power(better, share, drift=drift, critical=last)
        if chance < HOPELESS:
            return answer("stop", f"even with the planned effect, proof by the planned end has a chance of {chance:.1%}")
    until = plan.first_day + timedelta(days=math.ceil(days / share - 1e-9) - 1)
    return answer("go on", f"{share:.0%} of the planned information is reached, and |z| of {abs(z):.2f} is below {critical:.2f}", until)


def _critical(looks: Sequence[float], plan: Plan) -> float:
    """Return the critical value at the last of the looks."""
    if plan.looking == "anytime":
        return anytime_critical_value(looks[-1], plan.alpha)
    return critical_value(looks, plan.alpha, spending=plan.spending)
