"""Decide on the canary (go on, roll back or promote), and explain the decision in a sentence with figures."""

import math
from dataclasses import dataclass
from typing import Literal

from serving.guard.counts import VersionCounts, clicks, errors, slow
from serving.guard.e_process import Counts
from serving.guard.sequential_test import GO_ON, KEPT, RECENT, ROLL_BACK, WORSE, Limits, SequentialTest, decisions, score_shift, threshold

Decision = Literal["go on", "roll back", "promote"]

_RATES = {"clicks": (clicks, "clicked"), "errors": (errors, "failed"), "slow": (slow, "slow")}


@dataclass(frozen=True)
class ExplainedDecision:
    """Hold a decision and the sentence that explains it."""

    decision: Decision
    reason: str


def decide(test: SequentialTest, limits: Limits) -> ExplainedDecision:
    """Return the decision on the canary after the counts so far."""
    decision = int(decisions(test, limits))
    if decision == ROLL_BACK:
        return ExplainedDecision("roll back", "; ".join(_reasons_against(test, limits)))
    rates = ", ".join(_rates(test.canary, test.stable, what) for what in _RATES)
    if decision == GO_ON:
        waiting = [_waiting(test, name, limits) for name in KEPT if test.peak[name] < threshold(name, limits)]
        few = min(float(test.canary.requests), float(test.stable.requests))
        if few < limits.min_requests:
            waiting.append(f"{few:,.0f} of at least {limits.min_requests:,} requests of each are seen")
        return ExplainedDecision("go on", f"{rates}; nothing says that the canary is worse, and not yet proven: {', '.join(waiting)}")
    margins = (
        f"proven at {limits.alpha:.3g}: clicks are at most {limits.click_loss:.3g} of stable's rate below it,"
        f" errors at most {limits.error_rise:.3g} above, slow answers at most {limits.slow_rise:.3g} above"
    )
    return ExplainedDecision("promote", f"{rates}; {margins}")


def _reasons_against(test: SequentialTest, limits: Limits) -> list[str]:
    reasons = []
    for name in WORSE:
        if test.peak[name] >= threshold(name, limits):
            needed = math.exp(threshold(name, limits))
            odds = f"evidence of {_times(float(test.peak[name]))}, where {needed:,.0f} is asked for"
            what = name.removeprefix("recent_").removesuffix("_worse")
            rates = (
                f"in the present stretch {_rates(test.stretch.canary, test.stretch.stable, what)}"
                if name in RECENT
                else _rates(test.canary, test.stable, what)
            )
            reasons.append(f"{rates}: worse than stable ({odds})")
    shift = float(score_shift(test, limits))
    if shift > limits.score_shift:
        reasons.append(f"the scores are distributed otherwise than stable's: PSI {shift:.2f}, where {limits.score_shift:g} is the limit")
    return reasons


def _rates(canary: VersionCounts, stable: VersionCounts, what: str) -> str:
    """Format rates: `812 of 10,120 requests clicked (8.02%), of stable 10,310 of 101,000 (10.21%)`."""
    counts_of, word = _RATES[what]
    counts: Counts = counts_of(canary, stable)
    return (
        f"{counts.hits_a:,.0f} of {counts.trials_a:,.0f} requests {word} ({_percent(counts.hits_a, counts.trials_a)}),"
        f" of stable {counts.hits_b:,.0f} of {counts.trials_b:,.0f} ({_percent(counts.hits_b, counts.trials_b)})"
    )


def _waiting(test: SequentialTest, name: str, limits: Limits) -> str:
    return f"{name.replace('_', ' ')} (evidence {_times(float(test.peak[name]))} of {math.exp(threshold(name, limits)):,.0f})"


def _percent(hits: object, trials: object) -> str:
    number, total = float(hits), float(trials)  # type: ignore[arg-type]
    return f"{number / total:.2%}" if total else "none"


def _times(log_capital: float) -> str:
    return f"{math.exp(log_capital):,.0f}" if log_capital < math.log(1e9) else "over a billion"
