"""The comparison as it goes on: evidence for and against the canary, block by block.

Rolled back is a canary of which it is refuted that it is as good as stable: in clicks, errors or slow answers, each at a third of alpha,
so that a canary that is as good is rolled back with a chance of at most alpha, however often one looks. Its scores' distribution is
judged by a threshold.

Promoted is one of which it is refuted that it is worse than the limits say, in all three: one that is as bad as a limit in any respect is
promoted with a chance of at most alpha.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.contract.errors import InputError
from serving.guard.betting import Border, Numbers, log_growth
from serving.guard.tally import Tally, clicks, errors, psi, slow

WORSE = ("clicks_worse", "errors_worse", "slow_worse")
KEPT = ("clicks_kept", "errors_kept", "slow_kept")
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


@dataclass(frozen=True)
class Watch:
    """What has been seen: counts, and by test the logarithm of its capital now and at its greatest."""

    canary: Tally
    stable: Tally
    capital: Mapping[str, Numbers]
    peak: Mapping[str, Numbers]

    @classmethod
    def new(cls, runs: tuple[int, ...] = ()) -> "Watch":
        """Nothing seen; of several runs at once with a shape."""
        zero = np.zeros(runs)
        nothing = Tally.of()
        empty = Tally(zero, zero, zero, zero, zero, np.zeros((*runs, nothing.scores.shape[-1])))
        return cls(empty, empty, dict.fromkeys(WORSE + KEPT, zero), dict.fromkeys(WORSE + KEPT, zero))

    def then(self, canary: Tally, stable: Tally, limits: Limits) -> "Watch":
        """After another block, of what was counted since the last."""
        grown = growth(self, canary, stable, limits)
        capital = {name: self.capital[name] + more for name, more in grown.items()}
        peak = {name: np.maximum(self.peak[name], now) for name, now in capital.items()}
        return Watch(self.canary.plus(canary), self.stable.plus(stable), capital, peak)


def growth(watch: Watch, canary: Tally, stable: Tally, limits: Limits) -> dict[str, Numbers]:
    """What a block adds to the logarithm of each test's capital. A rate p below a border is 1 - p above another."""
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
    """The logarithm of the capital at which a test has decided."""
    return float(np.log((len(WORSE) if test in WORSE else 1) / limits.alpha))


def score_shift(watch: Watch) -> Numbers:
    """PSI of the scores; 0 as long as one of the versions has none."""
    scored = (watch.canary.scores.sum(axis=-1) > 0) & (watch.stable.scores.sum(axis=-1) > 0)
    return np.where(scored, psi(watch.canary.scores, watch.stable.scores), 0.0)


def decided(watch: Watch, limits: Limits) -> NDArray[np.int8]:
    """ROLL_BACK, GO_ON or PROMOTE of each run."""
    enough = (watch.canary.requests >= limits.min_requests) & (watch.stable.requests >= limits.min_requests)
    shifted = enough & (score_shift(watch) > limits.score_shift)
    worse = np.logical_or.reduce([watch.peak[name] >= threshold(name, limits) for name in WORSE]) | shifted
    kept = np.logical_and.reduce([watch.peak[name] >= threshold(name, limits) for name in KEPT]) & enough
    return np.where(worse, ROLL_BACK, np.where(kept, PROMOTE, GO_ON)).astype(np.int8)
