"""Simulate the guard with returning shoppers, some of whom get slow or failed responses much more often than others.

`python -m benchmarks.guard` prints its table. Each run is a trial: a sequence of requests, each of a shopper drawn by
frequency (mean `VISITS`, gamma distributed with a shape of 1/2); shoppers are assigned to canary or stable. A share of
the shoppers is affected: a share of their requests is slow, or fails, and none of the others'. So the requests of a
shopper are as strongly correlated as possible.

The requests that count are selected as in `serving.guard.monitor`; tests/serving/guard/test_returning.py compares the
two.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from serving.guard.counts import SCORE_BINS, VersionCounts
from serving.guard.sequential_test import KEPT, RECENT, WORSE, Limits, SequentialTest, stretch_length, threshold

VISITS = 10
Bits = NDArray[np.bool_]


@dataclass(frozen=True)
class Answers:
    """Error model of a version: shares of affected shoppers, and shares of their requests that are slow or fail."""

    slow_shoppers: float = 0.05
    slow: float = 0.4
    failing_shoppers: float = 0.0025
    failing: float = 0.4
    failing_from: int = 0  # requests of the trial before the first that fails, for a version that begins to fail late


@dataclass(frozen=True)
class Traffic:
    """Requests [N] of a trial, in order."""

    shopper: NDArray[np.int64]
    canary: Bits
    slow: Bits
    failed: Bits


def traffic(canary: Answers, stable: Answers, *, requests: int, share: float, rng: np.random.Generator) -> Traffic:
    """Draw a trial's requests; the canary has a share of the shoppers."""
    people = requests // VISITS
    often = rng.gamma(0.5, size=people)
    shopper = rng.choice(people, requests, p=often / often.sum())
    tried = (rng.random(people) < share)[shopper]
    slow, failed = np.zeros(requests, np.bool_), np.zeros(requests, np.bool_)
    slow_luck, fail_luck = rng.random((2, people))
    luck = rng.random((2, requests))
    for mine, answers in ((tried, canary), (~tried, stable)):
        slow |= mine & (slow_luck[shopper] < answers.slow_shoppers) & (luck[0] < answers.slow)
        late = np.arange(requests) >= answers.failing_from
        failed |= mine & (fail_luck[shopper] < answers.failing_shoppers) & (luck[1] < answers.failing) & late
    return Traffic(shopper, tried, slow, failed)


def stretches(requests: int, shortest: int) -> NDArray[np.int64]:
    """Return the number of the stretch, from 1 on, of each request [N]."""
    ends, end = [], 0
    while end < requests:
        end += stretch_length(end, shortest)
        ends.append(end)
    return np.searchsorted(ends, np.arange(requests), side="right") + 1


@dataclass(frozen=True)
class Blocks:
    """Blocks [K] of counted requests: when each was complete, in requests of the trial, its stretch and its counts."""

    at: NDArray[np.int64]
    stretch: NDArray[np.int64]
    counts: NDArray[np.float64]  # [K, 2, (requests, errors, slow)]; canary, stable


def blocks(traffic: Traffic, stretch: NDArray[np.int64], *, again: bool, size: int) -> Blocks:
    """Form blocks of shoppers new in the trial, or with `again` in the stretch, whose end closes any block."""
    key = stretch * (traffic.shopper.max() + 1) + traffic.shopper if again else traffic.shopper
    counted = np.sort(np.unique(key, return_index=True)[1])
    stretches_counted = stretch[counted] if again else np.ones(len(counted), np.int64)
    first = np.searchsorted(stretches_counted, stretches_counted)  # where its stretch begins
    block = (np.arange(len(counted)) - first) // size
    starts = np.flatnonzero((np.diff(block, prepend=-1) != 0) | (np.diff(stretches_counted, prepend=0) != 0))
    ends = np.append(starts[1:], len(counted)) - 1
    whole = (ends - starts + 1 == size) | (stretches_counted[ends] < stretches_counted[-1])
    side = np.stack([traffic.canary[counted], ~traffic.canary[counted]], axis=1)
    what = np.stack([np.ones(len(counted)), traffic.failed[counted], traffic.slow[counted]], axis=1)
    counts = np.add.reduceat(side[:, :, None] * what[:, None, :], starts, axis=0)
    return Blocks(counted[ends[whole]] + 1, stretches_counted[ends[whole]], counts[whole])


@dataclass(frozen=True)
class Trials:
    """Decision times by test: the requests of the trial until then in each run, infinity where it never decided."""

    after: dict[str, NDArray[np.float64]]

    def rolled_back(self) -> NDArray[np.float64]:
        """Return when the canary of each run was rolled back."""
        return np.asarray(np.minimum.reduce([self.after[name] for name in WORSE]), np.float64)

    def share(self, test: str) -> float:
        """Return the share of runs in which a test decided."""
        return float(np.mean(np.isfinite(self.after[test])))


@dataclass(frozen=True)
class TrialSize:
    """Runs, requests in each, the canary's share of the shoppers, requests in a block, and the shortest stretch."""

    runs: int
    requests: int
    share: float = 0.5
    block: int = 200
    shortest: int = 10_000


def trials(canary: Answers, stable: Answers, size: TrialSize) -> Trials:
    """Simulate runs of a trial without clicks, each to its end."""
    limits, stretch = Limits(), stretches(size.requests, size.shortest)
    runs_traffic = [
        traffic(canary, stable, requests=size.requests, share=size.share, rng=np.random.default_rng([0, run])) for run in range(size.runs)
    ]
    new = [blocks(each, stretch, again=False, size=size.block) for each in runs_traffic]
    again = [blocks(each, stretch, again=True, size=size.block) for each in runs_traffic]
    evidence = _watched(new, limits, [name for name in (*WORSE, *KEPT) if name not in RECENT])
    return Trials(evidence | _watched(again, limits, RECENT))


def _watched(of_runs: Sequence[Blocks], limits: Limits, tests: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Return when each test decided in each run; all runs are computed together, stretch by stretch."""
    runs = len(of_runs)
    watch = SequentialTest.new((runs,))
    after = {test: np.full(runs, np.inf) for test in tests}
    for number in range(1, max(int(each.stretch.max(initial=1)) for each in of_runs) + 1):
        watch = watch if number == 1 else watch.next_stretch()
        mine = [np.flatnonzero(each.stretch == number) for each in of_runs]
        for k in range(max(map(len, mine))):
            at = [int(each.at[which[k]]) if k < len(which) else 0 for each, which in zip(of_runs, mine, strict=True)]
            counts = np.stack(
                [each.counts[which[k]] if k < len(which) else np.zeros((2, 3)) for each, which in zip(of_runs, mine, strict=True)]
            )
            sides = (_tally(counts[:, 0]), _tally(counts[:, 1]))
            watch = watch.add_stretch_block(*sides) if tests[0] in RECENT else watch.add_block(*sides, limits)
            for test in tests:
                decided = (watch.peak[test] >= threshold(test, limits)) & np.isinf(after[test])
                after[test] = np.where(decided, at, after[test])
    return after


def _tally(counts: NDArray[np.float64]) -> VersionCounts:
    nothing = np.zeros(len(counts))
    return VersionCounts(counts[:, 0], counts[:, 1], counts[:, 2], nothing, nothing, np.zeros((len(counts), SCORE_BINS)))


@dataclass(frozen=True)
class Row:
    """Row of the table: the share of runs in which a test decided, and the median of their requests until then."""

    canary: str
    test: str
    share: float
    median_requests: float


STABLE = Answers()
AT_LIMITS = {
    "slow_kept": replace(STABLE, slow_shoppers=STABLE.slow_shoppers + Limits().slow_rise / STABLE.slow),
    "error_kept": replace(STABLE, failing_shoppers=STABLE.failing_shoppers + Limits().error_rise / STABLE.failing),
}
WORSE_CANARIES = {
    "slow answers 2 % to 4 %": replace(STABLE, slow_shoppers=0.1),
    "slow answers 2 % to 6 %": replace(STABLE, slow_shoppers=0.15),
    "errors 0.1 % to 1 %": replace(STABLE, failing_shoppers=0.025),
    "errors 0.1 % to 4 %": replace(STABLE, failing_shoppers=0.1),
}


def measured(*, runs: int, requests: int) -> list[Row]:
    """Compute all rows; half of the shoppers are the canary's."""

    def row(name: str, test: str, after: NDArray[np.float64]) -> Row:
        done = after[np.isfinite(after)]
        return Row(name, test, len(done) / len(after), float(np.median(done)) if len(done) else float("nan"))

    def played(canary: Answers) -> Trials:
        return trials(canary, STABLE, TrialSize(runs, requests))

    good = played(STABLE)
    rows = [row("as good as stable", "rolled back", good.rolled_back())]
    rows += [row("as good as stable", test, good.after[test]) for test in KEPT[1:]]
    for limit, canary in AT_LIMITS.items():
        test = "errors_kept" if limit == "error_kept" else limit
        rows.append(row(f"at the limit of {test}", test, played(canary).after[test]))
    rows += [row(name, "rolled back", played(canary).rolled_back()) for name, canary in WORSE_CANARIES.items()]
    late = replace(STABLE, failing_shoppers=0.5, failing=0.5, failing_from=requests // 2)
    rows.append(row(f"errors 0.1 % to 25 % after {requests // 2:,} requests", "rolled back", played(late).rolled_back()))
    return rows
