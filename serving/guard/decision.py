"""What the guard says: go on, roll back or promote, and why, in a sentence with figures."""

import math
from dataclasses import dataclass
from typing import Literal

from serving.guard.counts import clicks, errors, slow
from serving.guard.e_process import Seen
from serving.guard.sequential_test import GO_ON, KEPT, RECENT, ROLL_BACK, WORSE, Limits, Stretch, Watch, decided, score_shift, threshold

Decision = Literal["go on", "roll back", "promote"]

_RATES = {"clicks": (clicks, "clicked"), "errors": (errors, "failed"), "slow": (slow, "slow")}


@dataclass(frozen=True)
class Verdict:
    """A decision and the sentence that says why."""

    decision: Decision
    reason: str


def verdict(watch: Watch, limits: Limits) -> Verdict:
    """What to do with the canary, by what has been seen so far."""
    found = int(decided(watch, limits))
    if found == ROLL_BACK:
        return Verdict("roll back", "; ".join(_against(watch, limits)))
    rates = ", ".join(_rates(watch, what) for what in _RATES)
    if found == GO_ON:
        waiting = [_waiting(watch, name, limits) for name in KEPT if watch.peak[name] < threshold(name, limits)]
        few = min(float(watch.canary.requests), float(watch.stable.requests))
        if few < limits.min_requests:
            waiting.append(f"{few:,.0f} of at least {limits.min_requests:,} requests of each are seen")
        return Verdict("go on", f"{rates}; nothing says that the canary is worse, and not yet proven: {', '.join(waiting)}")
    margins = (
        f"proven at {limits.alpha:.3g}: clicks are at most {limits.click_loss:.3g} of stable's rate below it,"
        f" errors at most {limits.error_rise:.3g} above, slow answers at most {limits.slow_rise:.3g} above"
    )
    return Verdict("promote", f"{rates}; {margins}")


def _against(watch: Watch, limits: Limits) -> list[str]:
    said = []
    for name in WORSE:
        if watch.peak[name] >= threshold(name, limits):
            needed = math.exp(threshold(name, limits))
            odds = f"evidence of {_times(float(watch.peak[name]))}, where {needed:,.0f} is asked for"
            what = name.removeprefix("recent_").removesuffix("_worse")
            rates = f"in the present stretch {_rates(watch.stretch, what)}" if name in RECENT else _rates(watch, what)
            said.append(f"{rates}: worse than stable ({odds})")
    shift = float(score_shift(watch, limits))
    if shift > limits.score_shift:
        said.append(f"the scores are distributed otherwise than stable's: PSI {shift:.2f}, where {limits.score_shift:g} is the limit")
    return said


def _rates(watch: Watch | Stretch, what: str) -> str:
    """`812 of 10,120 requests clicked (8.02%), of stable 10,310 of 101,000 (10.21%)`."""
    of, word = _RATES[what]
    seen: Seen = of(watch.canary, watch.stable)
    return (
        f"{seen.hits_a:,.0f} of {seen.trials_a:,.0f} requests {word} ({_percent(seen.hits_a, seen.trials_a)}),"
        f" of stable {seen.hits_b:,.0f} of {seen.trials_b:,.0f} ({_percent(seen.hits_b, seen.trials_b)})"
    )


def _waiting(watch: Watch, name: str, limits: Limits) -> str:
    return f"{name.replace('_', ' ')} (evidence {_times(float(watch.peak[name]))} of {math.exp(threshold(name, limits)):,.0f})"


def _percent(hits: object, trials: object) -> str:
    number, total = float(hits), float(trials)  # type: ignore[arg-type]
    return f"{number / total:.2%}" if total else "none"


def _times(log_capital: float) -> str:
    return f"{math.exp(log_capital):,.0f}" if log_capital < math.log(1e9) else "over a billion"
