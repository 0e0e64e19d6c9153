"""False alarms stay below alpha with a look after every request; what is planted is found; and the sentence says why."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.guard.guard import CANARIES, STABLE, Version, compared, main, tilted
from components.contract.errors import InputError
from serving.guard.counts import SCORE_BINS, VersionCounts, psi, score_histogram
from serving.guard.decision import ExplainedDecision, decide
from serving.guard.sequential_test import GO_ON, PROMOTE, ROLL_BACK, Limits, SequentialTest, threshold

ALPHA = Limits().alpha


def most(share: float, runs: int) -> float:
    """What a share of runs may look like by chance: three standard deviations above."""
    return float(share + 3 * (share * (1 - share) / runs) ** 0.5)


@pytest.mark.parametrize("sizes", [(2, 2), (20, 180), (100, 100)])
def test_false_alarms_stay_below_alpha_whatever_the_canarys_share(sizes: tuple[int, int]) -> None:
    found = compared(STABLE, STABLE, sizes=sizes, looks=200, runs=500, seed=1)
    assert found.share(ROLL_BACK) <= most(ALPHA, 500)


@pytest.mark.parametrize(
    "canary",
    [replace(STABLE, clicked=0.1 * 0.95), replace(STABLE, errors=0.001 + 0.005), replace(STABLE, slow=0.02 + 0.02)],
    ids=["clicks", "errors", "slow"],
)
def test_a_canary_at_a_limit_is_seldom_promoted(canary: Version) -> None:
    found = compared(canary, STABLE, sizes=(100, 900), looks=200, runs=300, seed=2)
    assert found.share(PROMOTE) <= most(ALPHA, 300)


@pytest.mark.parametrize(
    ("name", "within"),
    [
        ("click rate 20 % lower", 8_000),
        ("click rate halved", 1_500),
        ("errors 0.1 % to 1 %", 2_500),
        ("errors 0.1 % to 10 %", 400),
        ("slow answers 2 % to 4 %", 3_000),
        ("scores shifted (PSI 0.4)", 1_000),
    ],
)
def test_a_bad_canary_is_rolled_back_within_so_many_of_its_requests(name: str, within: int) -> None:
    found = compared(CANARIES[name], STABLE, sizes=(50, 450), looks=200, runs=200, seed=3)
    assert found.share(ROLL_BACK) >= 0.98
    assert found.took(0.95) <= within


def test_a_better_canary_is_promoted() -> None:
    found = compared(CANARIES["click rate 20 % higher"], STABLE, sizes=(100, 900), looks=200, runs=200, seed=4)
    assert found.share(PROMOTE) >= 0.97
    assert found.took(0.95) <= 8_000


def test_nothing_is_promoted_before_so_many_requests() -> None:
    found = compared(CANARIES["click rate 20 % higher"], STABLE, sizes=(100, 900), looks=40, runs=100, limits=Limits(min_requests=3000))
    assert np.nanmin(np.where(found.decision == PROMOTE, found.requests, np.nan)) >= 3000


def watched(canary: VersionCounts, stable: VersionCounts, *, blocks: int, limits: Limits | None = None) -> SequentialTest:
    watch = SequentialTest.new()
    for _ in range(blocks):
        watch = watch.add_block(canary, stable, limits or Limits())
    return watch


def tally(clicked: int, *, requests: int = 100, errors: int = 0, slow: int = 2, scores: int = 0) -> VersionCounts:
    counted = np.eye(SCORE_BINS)[scores] * 100.0
    return VersionCounts.from_counts(requests=requests, errors=errors, slow=slow, settled=requests, clicked=clicked, scores=counted)


def test_a_roll_back_says_what_is_worse_and_how_sure_that_is() -> None:
    watch = watched(tally(4), tally(10, requests=100), blocks=12)
    found = decide(watch, Limits())
    capital = np.exp(float(watch.peak["clicks_worse"]))
    assert capital > 60
    assert found == ExplainedDecision(
        "roll back",
        "48 of 1,200 requests clicked (4.00%), of stable 120 of 1,200 (10.00%): worse than stable"
        f" (evidence of {capital:,.0f}, where 60 is asked for)",
    )


def test_all_that_is_worse_is_named() -> None:
    reason = decide(watched(tally(2, errors=20, slow=30), tally(10), blocks=12), Limits()).reason
    assert [part.split("requests ")[1].split(" ")[0] for part in reason.split("; ")] == ["clicked", "failed", "slow"]


def test_shifted_scores_roll_back_once_there_are_enough_requests() -> None:
    assert decide(watched(tally(10), tally(10, scores=9), blocks=9), Limits()).decision == "go on"
    found = decide(watched(tally(10), tally(10, scores=9), blocks=10), Limits())
    assert found.decision == "roll back"
    assert found.reason.startswith("the scores are distributed otherwise than stable's: PSI ")
    assert found.reason.endswith(", where 0.25 is the limit")
    assert decide(watched(tally(10), tally(10, scores=9), blocks=10), Limits(score_shift=100)).decision == "go on"


def test_going_on_says_what_is_still_open() -> None:
    assert decide(SequentialTest.new(), Limits()) == ExplainedDecision(
        "go on",
        "0 of 0 requests clicked (none), of stable 0 of 0 (none), 0 of 0 requests failed (none), of stable 0 of 0 (none),"
        " 0 of 0 requests slow (none), of stable 0 of 0 (none); nothing says that the canary is worse, and not yet proven:"
        " clicks kept (evidence 1 of 20), errors kept (evidence 1 of 20), slow kept (evidence 1 of 20),"
        " 0 of at least 1,000 requests of each are seen",
    )


def test_a_promotion_says_what_is_proven() -> None:
    found = decide(watched(tally(20), tally(10), blocks=15), Limits())
    assert found == ExplainedDecision(
        "promote",
        "300 of 1,500 requests clicked (20.00%), of stable 150 of 1,500 (10.00%), 0 of 1,500 requests failed (0.00%),"
        " of stable 0 of 1,500 (0.00%), 30 of 1,500 requests slow (2.00%), of stable 30 of 1,500 (2.00%); proven at 0.05:"
        " clicks are at most 0.05 of stable's rate below it, errors at most 0.005 above, slow answers at most 0.02 above",
    )


def test_clicks_that_are_still_to_come_do_not_count_as_none() -> None:
    """Of the canary's requests none has settled."""
    fresh = VersionCounts.from_counts(requests=1000, slow=2)
    assert decide(watched(fresh, tally(100, requests=1000), blocks=10), Limits()).decision == "go on"


def test_what_was_once_proven_stays_so() -> None:
    watch = watched(tally(4), tally(10), blocks=12)
    after = watch
    for _ in range(30):
        after = after.add_block(tally(20), tally(10), Limits())
    assert float(after.capital["clicks_worse"]) < threshold("clicks_worse", Limits())
    assert decide(after, Limits()).decision == "roll back"


def test_psi_by_hand() -> None:
    """Shares 1/4, 3/4 against 1/2, 1/2, the half counts negligible: (1/4) log 3 ... = -1/4 log(1/2) + 1/4 log(3/2)."""
    expected = -0.25 * np.log(0.5) + 0.25 * np.log(1.5)
    assert psi(np.array([1e9, 3e9]), np.array([5e8, 5e8])) == pytest.approx(expected, rel=1e-6)
    assert psi(np.array([1.0, 3.0]), np.array([1.0, 3.0])) == 0
    assert np.isfinite(psi(np.array([0.0, 3.0]), np.array([3.0, 0.0])))
    assert psi(tilted(0.2) * 1e9, tilted(-2.0) * 1e9) == pytest.approx(0.4, abs=0.05)


def test_scores_are_counted_by_equal_bins() -> None:
    counted = score_histogram(np.array([0, 0.049, 0.051, 0.999, 1, 7, -3, np.nan, np.inf], np.float32))
    assert counted.tolist() == [3, 1] + [0] * 17 + [3]


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"alpha": 0}, "the guard's alpha lies between 0 and 1, got 0"),
        ({"click_loss": 1}, "the guard's click_loss lies between 0 and 1, got 1"),
        ({"error_rise": -0.1}, "the guard's error_rise lies between 0 and 1, got -0.1"),
        ({"slow_rise": 2}, "the guard's slow_rise lies between 0 and 1, got 2"),
        ({"score_shift": 0}, "the guard's score_shift is above 0, got 0; a great one, such as 100, lets all scores pass"),
        ({"min_requests": 0}, "the guard's min_requests is at least 1, got 0"),
    ],
)
def test_limits_that_make_no_sense_are_refused(setting: dict[str, float], sentence: str) -> None:
    with pytest.raises(InputError, match=f"^{sentence}$"):
        Limits(**setting)  # type: ignore[arg-type]


def test_the_benchmark_tells_of_each_canary(tmp_path: Path) -> None:
    small = ["--runs", "4", "--looks", "3", "--trials", "3", "--requests", "3000"]
    main([*small, "--json", str(tmp_path / "rows.json")])
    rows = json.loads((tmp_path / "rows.json").read_text())
    assert [row["canary"] for row in rows["one request each"]] == list(CANARIES)
    assert {row["test"] for row in rows["returning"]} == {"rolled back", "errors_kept", "slow_kept"}
    assert GO_ON == 0
