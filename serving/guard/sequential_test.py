"""The comparison as it goes on: evidence for and against the canary, block by block.

Rolled back is a canary of which it is refuted that it is as good as stable: in clicks, errors or slow answers, each at a third of alpha,
so that a canary that is as good is rolled back with a chance of at most alpha, however often one looks. Its scores' distribution is
judged by a threshold.

Promoted is one of which it is refuted that it is worse than the limits say, in all three: one that is as bad as a limit in any respect is
promoted with a chance of at most alpha.

Requests of one shopper resemble each other, so no test may count a shopper twice. A version that begins to fail late would then go
unnoticed where few new shoppers come. So the trial is cut into stretches, in each of which every shopper counts once more, and the tests
of errors and slow answers have a capital for the whole trial and one that begins anew in each stretch. The capitals of one question begin
with stakes that sum to 1 (`TRIAL_STAKE`, and `stretch_stake` of the stretches 1, 2, ...): the chance that any of them ever reaches
1 / alpha is at most the sum over them of stake alpha, however those who come again depend on themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from components.contract.errors import InputError
from serving.guard.counts import Tally, clicks, errors, psi, slow
from serving.guard.e_process import Border, Numbers, log_growth

KEPT = ("clicks_kept", "errors_kept", "slow_kept")
RECENT = ("recent_errors_worse", "recent_slow_worse")
"""Those of the present stretch."""
WORSE = ("clicks_worse", "errors_worse", "slow_worse", *RECENT)
TRIAL_STAKE = 0.9
STRETCH_SHARE = 0.1  # of the trial's requests so far, that a stretch is long at least: so that there are few of them
GO_ON, PROMOTE, ROLL_BACK = 0, 1, -1


@dataclass(frozen=True)
class Limits:
    """When to roll back and when to promote.

    Attributes:
        alpha: chance of a false alarm, and of a false promotion.
        click_loss: how much smaller the click rate of a promoted canary may be, as a share of stable's.
        error_rise: how much greater its error rate may be, as a difference of rates.
        slow_rise: the same for slow answers.
        score_shift: a greater PSI of the scores rolls back.
        min_requests: of the canary and of stable, before there is a promotion and before scores are compared.
    """

    alpha: float = 0.05
    click_loss: float = 0.05
    error_rise: float = 0.005
    slow_rise: float = 0.02
    score_shift: float = 0.25
    min_requests: int = 1000

    def __post_init__(self) -> None:
        for name in ("alpha", "click_loss", "error_rise", "slow_rise"):
            if not 0 < getattr(self, name) < 1:
                raise InputError(f"the guard's {name} lies between 0 and 1, got {getattr(self, name)}")
        if not self.score_shift > 0:
            raise InputError(f"the guard's score_shift is above 0, got {self.score_shift}; a great one, such as 100, lets all scores pass")
        if self.min_requests < 1:
            raise InputError(f"the guard's min_requests is at least 1, got {self.min_requests}")


def stretch_stake(number: int) -> float:
    """With how much the capital of stretch 1, 2, ... begins; all of them sum to what `TRIAL_STAKE` leaves of 1."""
    return (1 - TRIAL_STAKE) / (number * (number + 1))


def stretch_length(requests: int, shortest: int) -> int:
    """How many requests a stretch takes that begins after so many of the trial, whether they count or not."""
    return max(shortest, int(STRETCH_SHARE * requests))


@dataclass(frozen=True)
class Stretch:
    """What has been counted in the present stretch: its number from 1 on, and the counts."""

    canary: Tally
    stable: Tally
    number: int = 1


@dataclass(frozen=True)
class Watch:
    """What has been seen: counts of the trial and of its present stretch, and the logarithm of each test's capital, now and at its peak."""

    canary: Tally
    stable: Tally
    stretch: Stretch
    capital: Mapping[str, Numbers]
    peak: Mapping[str, Numbers]

    @classmethod
    def new(cls, runs: tuple[int, ...] = ()) -> "Watch":
        """Nothing seen; of several runs at once with a shape."""
        zero = np.zeros(runs)
        nothing = Tally.from_counts()
        empty = Tally(zero, zero, zero, zero, zero, np.zeros((*runs, nothing.scores.shape[-1])))
        stakes = dict.fromkeys(("clicks_worse", *KEPT), 1.0) | dict.fromkeys(("errors_worse", "slow_worse"), TRIAL_STAKE)
        stakes |= dict.fromkeys(RECENT, stretch_stake(1))
        capital = {name: zero + np.log(stake) for name, stake in stakes.items()}
        return cls(empty, empty, Stretch(empty, empty), capital, capital)

    def then(self, canary: Tally, stable: Tally, limits: Limits) -> "Watch":
        """After another block of shoppers who are new in the trial, of what was counted since the last."""
        grown = self._grown(growth(self, canary, stable, limits))
        return replace(grown, canary=self.canary.plus(canary), stable=self.stable.plus(stable))

    def then_again(self, canary: Tally, stable: Tally) -> "Watch":
        """After another block of shoppers who are new in the stretch."""
        before = self.stretch
        more = {
            f"recent_{of.__name__}_worse": log_growth(of(before.canary, before.stable), of(canary, stable), Border())
            for of in (errors, slow)
        }
        stretch = replace(before, canary=before.canary.plus(canary), stable=before.stable.plus(stable))
        return replace(self._grown(more), stretch=stretch)

    def next_stretch(self) -> "Watch":
        """With the next stretch begun, in which nothing is counted yet."""
        number = self.stretch.number + 1
        runs = self.capital[RECENT[0]].shape
        stake = np.zeros(runs) + np.log(stretch_stake(number))
        return replace(
            self, stretch=replace(Watch.new(runs).stretch, number=number), capital={**self.capital, **dict.fromkeys(RECENT, stake)}
        )

    def _grown(self, more: Mapping[str, Numbers]) -> "Watch":
        capital = {**self.capital, **{name: self.capital[name] + each for name, each in more.items()}}
        return replace(self, capital=capital, peak={name: np.maximum(self.peak[name], now) for name, now in capital.items()})


def growth(watch: Watch, canary: Tally, stable: Tally, limits: Limits) -> dict[str, Numbers]:
    """What a block adds to the logarithm of the capital of each test of the trial. A rate p below a border is 1 - p above another."""
    found: dict[str, Numbers] = {}
    for what, kept, turned in (
        (clicks, Border(ratio=1 - limits.click_loss), False),
        (errors, Border(shift=-limits.error_rise), True),
        (slow, Border(shift=-limits.slow_rise), True),
    ):
        before, block = what(watch.canary, watch.stable), what(canary, stable)
        # Of clicks many are good, of the others few: `kept` asks for what is good, `worse` for what is bad.
        good = (before.misses(), block.misses()) if turned else (before, block)
        bad = (before, block) if turned else (before.misses(), block.misses())
        found[f"{what.__name__}_worse"] = log_growth(*bad, Border())
        found[f"{what.__name__}_kept"] = log_growth(*good, kept)
    return found


def threshold(test: str, limits: Limits) -> float:
    """The logarithm of the capital at which a test has decided; whether a canary is worse is asked of as many things as must be kept."""
    return float(np.log((len(KEPT) if test in WORSE else 1) / limits.alpha))


def score_shift(watch: Watch, limits: Limits) -> Numbers:
    """PSI of the scores, of the trial or of its stretch, whichever is greater; 0 with fewer than `min_requests` of either version."""
    found = np.zeros(watch.canary.requests.shape)
    for seen in (watch, watch.stretch):
        scored = (seen.canary.scores.sum(axis=-1) > 0) & (seen.stable.scores.sum(axis=-1) > 0)
        enough = np.minimum(seen.canary.requests, seen.stable.requests) >= limits.min_requests
        found = np.where(scored & enough, np.maximum(found, psi(seen.canary.scores, seen.stable.scores)), found)
    return found


def decided(watch: Watch, limits: Limits) -> NDArray[np.int8]:
    """ROLL_BACK, GO_ON or PROMOTE of each run."""
    enough = (watch.canary.requests >= limits.min_requests) & (watch.stable.requests >= limits.min_requests)
    shifted = score_shift(watch, limits) > limits.score_shift
    worse = np.logical_or.reduce([watch.peak[name] >= threshold(name, limits) for name in WORSE]) | shifted
    kept = np.logical_and.reduce([watch.peak[name] >= threshold(name, limits) for name in KEPT]) & enough
    return np.where(worse, ROLL_BACK, np.where(kept, PROMOTE, GO_ON)).astype(np.int8)
