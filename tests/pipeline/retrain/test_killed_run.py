"""`shelfrank retrain --now` through the real graph, killed at twenty random moments: it finishes, with one release and a whole ledger."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import pytest

from components.contract.storage.json_lines import read_json_lines
from components.release.labels import read_labels
from components.release.manifest import read_manifest
from components.release.publish import versions
from pipeline.retrain.cycle import Cycle, Outcome
from pipeline.retrain.ledger import Ledger
from tests.pipeline.shop import shop_without_model

# Two whole runs, and what twenty kills make it do again.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

KILLS = 20
LINES = 30  # of progress that a run says, about
SHOP = """
model: {epochs: 1, max_impressions: 6000, warm_start: true}
gates: {drop: {auc: 0.9, ndcg_at_10: 0.9}, slice_drop: {}}
"""
DAYS = [f"2026-02-{day:02}" for day in range(14, 29)]  # where the data of each cycle ends; the log does on 5 March
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}


def started(work: Path, day: str) -> "subprocess.Popen[str]":
    options = ["--data", "data", "--root", "runs", "--now", "--data-until", day]
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", "retrain", "shop.yaml", *options],
        cwd=work,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def killed(process: "subprocess.Popen[str]", *, after_lines: int, after_s: float) -> bool:
    """Kill a process when it has said so many lines, and a moment has passed; returns whether it still lived."""
    assert process.stdout is not None
    if len(list(islice(process.stdout, after_lines))) == after_lines:
        try:
            process.wait(after_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return True
    assert process.wait() == 0
    return False


def cycles(work: Path) -> tuple[Cycle, ...]:
    return Ledger(work / "runs" / "retrain").history().cycles


def ledger(work: Path) -> list[dict[str, str]]:
    return read_json_lines(Ledger(work / "runs" / "retrain").file)


def test_killed_at_twenty_random_moments_it_finishes_with_one_release_and_two_at_once_are_one(tmp_path: Path) -> None:
    simulate = [sys.executable, "-m", "pipeline.cli", "simulate", "--out", "data", "--events", "8000"]
    subprocess.run(simulate, cwd=tmp_path, env=ENVIRONMENT, check=True)
    (tmp_path / "shop.yaml").write_text(shop_without_model() + SHOP)
    draw, kills, at = random.Random(1), 0, list[str]()
    while kills < KILLS:
        known = cycles(tmp_path)
        with started(tmp_path, DAYS[len(known)]) as process:
            kills += killed(process, after_lines=draw.randint(0, LINES), after_s=draw.uniform(0.0, 4.0))
        at.append(next((line["event"] for line in reversed(ledger(tmp_path))), "nothing"))
    with started(tmp_path, DAYS[len(cycles(tmp_path))]) as process:
        output, _ = process.communicate()
        assert process.returncode == 0, output
    print(f"{kills} kills, {len(cycles(tmp_path))} cycles; the ledger's last line after each: {', '.join(at)}")
    assert [(each.outcome, each.release, each.attempts) for each in cycles(tmp_path)] == [
        (Outcome.PROMOTED, number, 1) for number in range(1, len(cycles(tmp_path)) + 1)
    ]
    releases = tmp_path / "runs" / "releases"
    assert versions(releases) == tuple(range(1, len(cycles(tmp_path)) + 1))
    labels = read_labels(releases)
    assert labels is not None
    assert labels.now["stable"] == versions(releases)[-1]
    assert [line["event"] for line in ledger(tmp_path)] == ["decided", "training", "trained", "ended"] * len(cycles(tmp_path))
    for cycle in cycles(tmp_path):
        assert read_manifest(releases / str(cycle.release)).data_window["last event"] < cycle.data_until

    # On the whole log, warm from that release; a second one at the same time says whose turn it is.
    before = len(cycles(tmp_path))
    with started(tmp_path, "2026-12-31") as first:
        while len(cycles(tmp_path)) == before:
            time.sleep(0.1)
        with started(tmp_path, "2026-12-31") as second:
            refusal, _ = second.communicate()
            assert second.returncode == 1
        output, _ = first.communicate()
        assert first.returncode == 0, output
    assert re.search(rf"process {first.pid} of \S+ is at work since", refusal)
    last = cycles(tmp_path)[-1]
    assert (last.release, last.parent, last.start, last.outcome) == (before + 1, before, "warm", Outcome.PROMOTED)
    assert any(f"warm start from release {before}" in file.read_text() for file in (tmp_path / "runs" / "logs").iterdir())
