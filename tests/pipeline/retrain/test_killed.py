"""`kill -9` at any moment: the cycle ends all the same, with one release and a whole ledger."""

import os
import random
import subprocess
import sys
from pathlib import Path

from components.release.labels import read_labels
from components.release.publish import versions
from pipeline.retrain.cycle import Outcome
from pipeline.retrain.ledger import Ledger

CODE = str(Path(__file__).with_name("killed.py"))
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}


def begun(root: Path) -> "subprocess.Popen[str]":
    """The process, with everything imported; it waits to be let go."""
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, CODE, str(root)], stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=ENVIRONMENT)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def let_go(*processes: "subprocess.Popen[str]") -> None:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()


def test_killed_at_random_moments_it_ends_with_one_release_and_a_whole_ledger(tmp_path: Path) -> None:
    draw = random.Random(3)
    for _ in range(3):
        with begun(tmp_path) as process:
            let_go(process)
            try:
                process.wait(draw.uniform(0.0, 0.25))
            except subprocess.TimeoutExpired:
                process.kill()
    with begun(tmp_path) as process:
        let_go(process)
        assert process.wait() == 0
    history = Ledger(tmp_path / "retrain").history()
    (cycle,) = history.cycles
    labels = read_labels(tmp_path / "releases")
    assert labels is not None
    assert (cycle.outcome, cycle.release, versions(tmp_path / "releases"), labels.now) == (Outcome.PROMOTED, 1, (1,), {"stable": 1})


def test_of_two_at_once_one_works_and_the_other_says_whose_turn_it_is(tmp_path: Path) -> None:
    with begun(tmp_path) as one, begun(tmp_path) as two:
        let_go(one, two)
        outputs = [process.communicate() for process in (one, two)]
    for process, (_, errors) in zip((one, two), outputs, strict=True):  # the second may have come after the first one's end
        assert process.returncode == 0 or "is at work since" in errors or "is about to begin" in errors
    (cycle,) = Ledger(tmp_path / "retrain").history().cycles
    assert (cycle.attempts, cycle.outcome, versions(tmp_path / "releases")) == (1, Outcome.PROMOTED, (1,))
    assert sum("cycle 1: release 1 is promoted" in text for text, _ in outputs) == 1
