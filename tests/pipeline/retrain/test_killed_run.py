"""`shelfrank retrain --now` through the real graph, killed at twenty random moments: it finishes, with one release and a whole ledger."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest

from components.release.labels import read_labels
from components.release.manifest import read_manifest
from components.release.publish import versions
from pipeline.retrain.cycle import Cycle, Outcome
from pipeline.retrain.ledger import Ledger
from tests.pipeline.shop import shop_without_model

# Two whole runs, and what twenty kills make it do again.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

KILLS = 20
LONGEST_S = 30.0  # until a kill; less at first, so that the beginning isn't the only part that is hit
SHOP = """
model: {epochs: 1, max_impressions: 6000, warm_start: true}
gates: {drop: {auc: 0.9, ndcg_at_10: 0.9}, slice_drop: {}}
"""


def started(work: Path, err: IO[bytes], *options: str) -> "subprocess.Popen[bytes]":
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    command = [sys.executable, "-m", "pipeline.cli", "retrain", "shop.yaml", "--data", "data", "--root", "runs", "--now", *options]
    return subprocess.Popen(command, cwd=work, env=environment, stdout=err, stderr=err)


def cycles(work: Path) -> tuple[Cycle, ...]:
    return Ledger(work / "runs" / "retrain").history().cycles


def test_killed_at_twenty_random_moments_it_finishes_with_one_release_and_two_at_once_are_one(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "simulate", "--out", "data", "--events", "8000"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
        check=True,
    )
    (tmp_path / "shop.yaml").write_text(shop_without_model() + SHOP)
    ends = "2026-02-20"  # before the log's end
    draw, kills = random.Random(1), 0
    with (tmp_path / "log").open("wb") as log:
        while not (known := cycles(tmp_path)) or known[-1].outcome is None:
            with started(tmp_path, log, "--data-until", ends) as process:
                try:
                    process.wait(draw.uniform(0.5, LONGEST_S) if kills < KILLS else None)
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    kills += 1
    text = (tmp_path / "log").read_text()
    print(f"{kills} kills")
    (cycle,) = cycles(tmp_path)
    assert (cycle.outcome, cycle.release, cycle.attempts, cycle.failures) == (Outcome.PROMOTED, 1, 1, ()), text
    releases = tmp_path / "runs" / "releases"
    assert versions(releases) == (1,)
    labels = read_labels(releases)
    assert labels is not None
    assert labels.now == {"stable": 1}
    assert read_manifest(releases / "1").data_window["last event"] < ends
    lines = [json.loads(line) for line in Ledger(tmp_path / "runs" / "retrain").file.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["decided", "training", "trained", "ended"]
    assert kills == KILLS

    # On the whole log, warm from that release; a second one at the same time says whose turn it is.
    with (
        (tmp_path / "one").open("wb") as one,
        (tmp_path / "two").open("wb") as two,
        started(tmp_path, one, "--data-until", "2026-12-31") as first,
    ):
        while len(cycles(tmp_path)) < 2:
            time.sleep(0.1)
        with started(tmp_path, two, "--data-until", "2026-12-31") as second:
            assert second.wait() == 1
        assert first.wait() == 0, (tmp_path / "one").read_text()
    assert re.search(rf"process {first.pid} of \S+ is at work since", (tmp_path / "two").read_text())
    assert [(each.release, each.parent, each.start, each.outcome) for each in cycles(tmp_path)] == [
        (1, None, "warm", Outcome.PROMOTED),
        (2, 1, "warm", Outcome.PROMOTED),
    ]
    assert any("warm start from release 1" in file.read_text() for file in (tmp_path / "runs" / "logs").iterdir())
