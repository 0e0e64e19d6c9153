"""The loop and the guard together: what the guard finds in the log ends the cycle, with its sentence in the ledger."""

import os
from pathlib import Path

import pytest

from components.drift.decision import Action
from pipeline.cli.main import main
from pipeline.ops.releases import Deployment
from pipeline.retrain.cycle import Outcome
from pipeline.retrain.retrainer import RetrainConfig, Retrainer
from pipeline.retrain.triggers import HandTrigger
from pipeline.terminal.exit_code import EXIT_PROMOTED, EXIT_ROLLED_BACK
from tests.pipeline.retrain.standin import StandIn
from tests.serving.exposure.shop_log import SHOP
from tests.serving.guard.stream import Side, stream, write

LIMITS = ("--click-loss", "0.2", "--error-rise", "0.02", "--slow-rise", "0.05", "--min-requests", "300", "--click-s", "60")


@pytest.mark.parametrize(
    ("side", "requests", "code", "outcome", "words"),
    [
        (Side(failed=0.3), 2_000, EXIT_ROLLED_BACK, Outcome.ROLLED_BACK, "requests failed"),
        (Side(clicked=0.35), 5_000, EXIT_PROMOTED, Outcome.PROMOTED, "clicks are at most 0.2 of stable's rate below it"),
    ],
)
def test_the_guards_decision_ends_the_cycle(tmp_path: Path, side: Side, requests: int, code: int, outcome: Outcome, words: str) -> None:
    def look(*, canary: bool):  # type: ignore[no-untyped-def]
        config = RetrainConfig(folder=tmp_path / "retrain", deployment=Deployment(tmp_path / "releases"), canary=canary)
        return Retrainer(config, StandIn(tmp_path / "releases"), [HandTrigger(Action.RETRAIN_FULL, "a test")], print).look()

    assert [look(canary=False).release for _ in range(2)] == [1, 2]
    assert look(canary=True).outcome is None  # release 3 is canary, 2 stable
    os.utime(tmp_path / "releases" / "labels.json", (1_700_000_000, 1_700_000_000))
    (tmp_path / "shop.yaml").write_text(SHOP)
    (tmp_path / "log").mkdir()
    write(tmp_path / "log", stream(side, requests=requests, seed=1))
    where = ("--dataset", str(tmp_path / "shop.yaml"), "--releases", str(tmp_path / "releases"), "--log", str(tmp_path / "log"))
    assert main(["guard", *where, *LIMITS, "--once"]) == code
    cycle = look(canary=True)
    assert (cycle.number, cycle.release, cycle.outcome) == (3, 3, outcome)
    assert words in cycle.reason
