"""Collect evidence for and against the canary, block by block.

A canary is rolled back if the hypothesis that it is as good as stable is rejected: in clicks, errors or slow answers,
each at a third of alpha, so that a canary as good as stable is rolled back with a chance of at most alpha, however
often one looks. The distribution of its scores is compared by a threshold.

It is promoted if the hypothesis that it is worse than the limits allow is rejected, in all three: one that is as bad as
a limit in any respect is promoted with a chance of at most alpha.

Requests of one shopper are correlated, so no test may count a shopper twice. A version that begins to fail late would
then go unnoticed where few new shoppers come. So the trial is cut into stretches, in each of which every shopper counts
once more, and the tests of errors and slow answers have a capital for the whole trial and one that restarts in each
stretch. The capitals of one question begin with stakes that sum to 1 (`TRIAL_STAKE`, and `stretch_stake` of the
stretches 1, 2, ...): the chance that any of them ever reaches 1 / alpha is at most the sum over them of stake alpha,
however a shopper's requests depend on each other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from components.contract.errors import InputError
from serving.guard.counts import VersionCounts, clicks, errors, psi, slow
from serving.guard.e_process import NullHypothesis, Numbers, log_growth

KEPT = ("clicks_kept", "errors_kept", "slow_kept")
RECENT = ("recent_errors_worse", "recent_slow_worse")  # of the present stretch
WORSE = ("clicks_worse", "errors_worse", "slow_worse", *RECENT)
TRIAL_STAKE = 0.9
STRETCH_SHARE = 0.1  # least length of a stretch, as a share of the trial so far: bounds their number
GO_ON, PROMOTE, ROLL_BACK = 0, 1, -1


@dataclass(frozen=True)
class Limits:
    """Set when to roll back and when to promote.

    Attributes:
        alpha: probability of a false alarm, and of a false promotion.
        click_loss: how much smaller the click rate of a promoted canary may be, as a share of stable's.
        error_rise: how much greater its error rate may be, as a difference of rates.
        slow_rise: the same for slow answers.
        score_shift: a greater PSI of the scores rolls back.
        min_requests: of the canary and of stable, before a promotion and before scores are compared.
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
    """Return the initial capital of stretch 1, 2, ...; all of them sum to what `TRIAL_STAKE` leaves of 1."""
    return (1 - TRIAL_STAKE) / (number * (number + 1))


def stretch_length(requests: int, shortest: int) -> int:
    """Return the length of a stretch, in requests, that begins after so many of the trial."""
    return max(shortest, int(STRETCH_SHARE * requests))


@dataclass(frozen=True)
class Stretch:
    """Hold the counts of the present stretch, and its number from 1 on."""

    canary: VersionCounts
    stable: VersionCounts
    number: int = 1


@dataclass(frozen=True)
class SequentialTest:
    """Hold counts of the trial and of its present stretch, and the log capital of each test, now and at its peak."""

    canary: VersionCounts
    stable: VersionCounts
    stretch: Stretch
    capital: Mapping[str, Numbers]
    peak: Mapping[str, Numbers]

    @classmethod
    def new(cls, runs: tuple[int, ...] = ()) -> "SequentialTest":
        """Return a test without counts; of several runs at once with a shape."""
        zero = np.zeros(runs)
        scalar = VersionCounts.from_counts()
        empty = VersionCounts(zero, zero, zero, zero, zero, np.zeros((*runs, scalar.scores.shape[-1])))
        stakes = dict.fromkeys(("clicks_worse", *KEPT), 1.0) | dict.fromkeys(("errors_worse", "slow_worse"), TRIAL_STAKE)
        stakes |= dict.fromkeys(RECENT, stretch_stake(1))
        capital = {name: zero + np.log(stake) for name, stake in stakes.items()}
        return cls(empty, empty, Stretch(empty, empty), capital, capital)

    def add_block(self, canary: VersionCounts, stable: VersionCounts, limits: Limits) -> "SequentialTest":
        """Add a block of shoppers who are new in the trial."""
        grown = self._with_growth(log_growths(self, canary, stable, limits))
        return replace(grown, canary=self.canary.plus(canary), stable=self.stable.plus(stable))

    def add_stretch_block(self, canary: VersionCounts, stable: VersionCounts) -> "SequentialTest":
        """Add a block of shoppers who are new in the stretch."""
        before = self.stretch
        growths = {
            f"recent_{counts_of.__name__}_worse": log_growth(
                counts_of(before.canary, before.stable), counts_of(canary, stable), NullHypothesis()
            )
            for counts_of in (errors, slow)
        }
        stretch = replace(before, canary=before.canary.plus(canary), stable=before.stable.plus(stable))
        return replace(self._with_growth(growths), stretch=stretch)

    def next_stretch(self) -> "SequentialTest":
        """Begin the next stretch, with counts of 0."""
        number = self.stretch.number + 1
        runs = self.capital[RECENT[0]].shape
        stake = np.zeros(runs) + np.log(stretch_stake(number))
        return replace(
            self, stretch=replace(SequentialTest.new(runs).stretch, number=number), capital={**self.capital, **dict.fromkeys(RECENT, stake)}
        )

    def _with_growth(self, growths: Mapping[str, Numbers]) -> "SequentialTest":
        capital = {**self.capital, **{name: self.capital[name] + growth for name, growth in growths.items()}}
        return replace(self, capital=capital, peak={name: np.maximum(self.peak[name], now) for name, now in capital.items()})


def log_growths(test: SequentialTest, canary: VersionCounts, stable: VersionCounts, limits: Limits) -> dict[str, Numbers]:
    """Return a block's log growth of each of the trial's tests. A lower bound on a rate p is an upper one on 1 - p."""
    growths: dict[str, Numbers] = {}
    for counts_of, kept, is_loss in (
        (clicks, NullHypothesis(ratio=1 - limits.click_loss), False),
        (errors, NullHypothesis(shift=-limits.error_rise), True),
        (slow, NullHypothesis(shift=-limits.slow_rise), True),
    ):
        before, block = counts_of(test.canary, test.stable), counts_of(canary, stable)
        # Clicks are gains, errors and slow answers losses: `kept` tests the rate of gains, `worse` that of losses.
        gains = (before.misses(), block.misses()) if is_loss else (before, block)
        losses = (before, block) if is_loss else (before.misses(), block.misses())
        growths[f"{counts_of.__name__}_worse"] = log_growth(*losses, NullHypothesis())
        growths[f"{counts_of.__name__}_kept"] = log_growth(*gains, kept)
    return growths


def threshold(test: str, limits: Limits) -> float:
    """Return the log capital at which a test decides; the tests for a worse canary share alpha."""
    return float(np.log((len(KEPT) if test in WORSE else 1) / limits.alpha))


def score_shift(test: SequentialTest, limits: Limits) -> Numbers:
    """Return the scores' PSI, of the trial or its stretch, whichever is greater; 0 below `min_requests`."""
    shift = np.zeros(test.canary.requests.shape)
    for counted in (test, test.stretch):
        scored = (counted.canary.scores.sum(axis=-1) > 0) & (counted.stable.scores.sum(axis=-1) > 0)
        enough = np.minimum(counted.canary.requests, counted.stable.requests) >= limits.min_requests
        shift = np.where(scored & enough, np.maximum(shift, psi(counted.canary.scores, counted.stable.scores)), shift)
    return shift


def decisions(test: SequentialTest, limits: Limits) -> NDArray[np.int8]:
    """Return ROLL_BACK, GO_ON or PROMOTE of each run."""
    enough = (test.canary.requests >= limits.min_requests) & (test.stable.requests >= limits.min_requests)
    shifted = score_shift(test, limits) > limits.score_shift
    worse = np.logical_or.reduce([test.peak[name] >= threshold(name, limits) for name in WORSE]) | shifted
    kept = np.logical_and.reduce([test.peak[name] >= threshold(name, limits) for name in KEPT]) & enough
    return np.where(worse, ROLL_BACK, np.where(kept, PROMOTE, GO_ON)).astype(np.int8)
