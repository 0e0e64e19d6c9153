"""A search for settings as a shop runs it: through the real graph, once undisturbed and once killed in the middle."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.shop import shop_without_model

# Two and a half whole runs: minutes, and more of them on a machine with other work.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

TUNING = """
model: {epochs: 1, max_impressions: 2000}
gates: {drop: {auc: 0.9, ndcg_at_10: 0.9}, slice_drop: {}}
tuning:
  trials: 3
  algorithm: random
  space:
    learning_rate: {min: 1.0e-4, max: 2.0e-2, scale: log}
    dense: [[8], [16, 8]]
"""


def start(work: Path, root: str) -> "subprocess.Popen[str]":
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    command = [sys.executable, "-m", "pipeline.cli", "run", "shop.yaml", "--data", "shop", "--root", root, "--json"]
    return subprocess.Popen(
        command, cwd=work, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def news(work: Path, root: str) -> list[str]:
    """All that the last run in a folder said, which is more than it had lines for while it ran."""
    logs = sorted((work / root / "logs").glob("*.log"))
    text = logs[-1].read_text() if logs else ""
    return [line.partition("shelfrank.progress: ")[2] for line in text.splitlines() if "shelfrank.progress: " in line]


def finish(work: Path, root: str) -> tuple[dict[str, Any], list[str]]:
    """What a run that nobody disturbs gives, and what it says."""
    process = start(work, root)
    out, lines = process.communicate()
    assert process.returncode == 0, lines
    return json.loads(out), news(work, root)


def killed_in_trial(number: int, work: Path, root: str) -> None:
    process = start(work, root)
    while process.poll() is None and not any(line.startswith(f"trial {number} of 3") for line in news(work, root)):
        time.sleep(0.05)
    time.sleep(0.5)  # into its training
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("work")
    command = [sys.executable, "-m", "pipeline.cli", "simulate", "--out", str(work / "shop"), "--events", "5000"]
    subprocess.run(command, env=os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}, check=True)
    (work / "shop.yaml").write_text(shop_without_model() + TUNING)
    return work


@pytest.fixture(scope="module")
def undisturbed(work: Path) -> tuple[dict[str, Any], list[str]]:
    return finish(work, "undisturbed")


def test_the_trainer_gets_the_best_values(undisturbed: tuple[dict[str, Any], list[str]]) -> None:
    result, _ = undisturbed
    scores = [trial["outcome"]["score"] for trial in result["trials"]]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[1]
    # The same training as in the trial, to the last bit.
    assert max(epoch["eval_auc"] for epoch in result["training"]) == scores[0]


def test_the_trials_are_told_and_can_be_shown_afterwards(work: Path, undisturbed: tuple[dict[str, Any], list[str]]) -> None:
    result, lines = undisturbed
    assert sum(line.startswith("trial ") for line in lines) == 6
    assert any(line.startswith("best of 3 trials: trial ") for line in lines)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    command = [sys.executable, "-m", "pipeline.cli", "report", "--root", "undisturbed"]
    shown = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=True).stdout
    assert "Trials, best first" in shown
    assert all(f"{trial['outcome']['score']:.4f}" in shown for trial in result["trials"])


def test_a_run_killed_in_a_trial_keeps_the_finished_ones_and_ends_as_one_that_was_not(
    work: Path, undisturbed: tuple[dict[str, Any], list[str]]
) -> None:
    killed_in_trial(2, work, "killed")
    result, lines = finish(work, "killed")

    def outcomes(run: dict[str, Any]) -> list[tuple[Any, ...]]:
        return [(trial["number"], trial["values"], trial["outcome"]["score"]) for trial in run["trials"]]

    assert outcomes(result) == outcomes(undisturbed[0])
    assert {trial["number"] for trial in result["trials"] if trial["kept"]} == {1}
    assert sum("(kept from an earlier run)" in line for line in lines) == 1
    assert result["slices"] == undisturbed[0]["slices"]
