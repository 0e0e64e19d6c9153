"""Shoppers who come again: no false alarm, no false proof, and what is worse is found."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.guard.returning import AT_LIMITS, STABLE, WORSE_CANARIES, Answers, TrialSize, blocks, stretches, traffic, trials
from serving.guard.log_parser import Clicks
from serving.guard.monitor import Monitor, MonitorSettings
from serving.guard.sequential_test import Limits, stretch_length, stretch_stake
from serving.guard.trial_store import TrialStore
from tests.serving.exposure.shop_log import dataset
from tests.serving.guard.stream import START_US
from tests.serving.guard.test_monitor import LIMITS, decisions, of

ALPHA = Limits().alpha
RUNS = 150


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_a_canary_that_is_as_good_is_rolled_back_at_most_at_alpha(share: float) -> None:
    found = trials(STABLE, STABLE, TrialSize(RUNS, 20_000, share))
    assert np.mean(np.isfinite(found.rolled_back())) <= ALPHA


@pytest.mark.parametrize(("canary", "test"), [(AT_LIMITS["slow_kept"], "slow_kept"), (AT_LIMITS["error_kept"], "errors_kept")])
def test_a_canary_at_a_limit_is_proven_to_keep_it_at_most_at_alpha(canary: Answers, test: str) -> None:
    assert trials(canary, STABLE, TrialSize(RUNS, 20_000)).share(test) <= ALPHA


def test_what_is_worse_is_found_and_also_what_begins_late() -> None:
    found = trials(WORSE_CANARIES["errors 0.1 % to 4 %"], STABLE, TrialSize(40, 20_000))
    assert np.mean(np.isfinite(found.rolled_back())) >= 0.95
    late = replace(STABLE, failing_shoppers=0.5, failing=0.5, failing_from=10_000)
    assert np.quantile(trials(late, STABLE, TrialSize(40, 20_000)).rolled_back(), 0.95) <= 12_000


def test_the_benchmark_counts_as_the_sentry_does(tmp_path: Path) -> None:
    given = traffic(
        replace(STABLE, failing_shoppers=0.1), replace(STABLE, slow_shoppers=0.3), requests=900, share=0.4, rng=np.random.default_rng(5)
    )
    failed = {"version": "", "degraded": "popularity", "scores": None}
    exposures = []
    for n, (shopper, canary, slow, bad) in enumerate(zip(given.shopper, given.canary, given.slow, given.failed, strict=True)):
        side = "canary" if canary else "stable"
        exposures.append(of(side, n, shopper=f"u{shopper}", model_ms=80.0 if slow else 4.0, **(failed if bad else {})))
    decisions(tmp_path, *exposures)
    duty = MonitorSettings(
        logs=[tmp_path], click_s=60.0, block=20, stretch=150, limits=replace(LIMITS, alpha=1e-9)
    )  # so that it never decides
    with closing(TrialStore(None)) as ledger:
        standing = Monitor(duty, ledger, Clicks(dataset(), ())).look(3, 2, since_us=START_US, now_us=START_US)
    assert standing is not None
    number = stretches(900, 150)
    new, again = (blocks(given, number, again=again, size=20) for again in (False, True))
    last = again.counts[again.stretch == number[-1]]
    for counted, seen in ((new.counts, standing.test), (last, standing.test.stretch)):
        expected = [[tally.requests, tally.errors, tally.slow] for tally in (seen.canary, seen.stable)]
        assert counted.sum(axis=0).tolist() == expected
    assert standing.test.stretch.number == number[-1] > 3
    assert standing.requests == 900


def test_stretches_grow_with_the_trial_and_their_stakes_sum_to_a_tenth() -> None:
    assert [stretch_length(requests, 100) for requests in (0, 500, 2_000)] == [100, 100, 200]
    assert sum(stretch_stake(number) for number in range(1, 100_000)) == pytest.approx(0.1, abs=1e-5)
