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
    """The process, with everything imported."""
    process = subprocess.Popen([sys.executable, CODE, str(root)], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_killed_at_random_moments_it_ends_with_one_release_and_a_whole_ledger(tmp_path: Path) -> None:
    draw = random.Random(3)
    for _ in range(4):
        with begun(tmp_path) as process:
            try:
                process.wait(draw.uniform(0.0, 0.25))
            except subprocess.TimeoutExpired:
                process.kill()
    with begun(tmp_path) as process:
        assert process.wait() == 0
    history = Ledger(tmp_path / "retrain").history()
    (cycle,) = history.cycles
    labels = read_labels(tmp_path / "releases")
    assert labels is not None
    assert (cycle.outcome, cycle.release, versions(tmp_path / "releases"), labels.now) == (Outcome.PROMOTED, 1, (1,), {"stable": 1})


def test_of_two_at_once_one_works_and_the_other_says_whose_turn_it_is(tmp_path: Path) -> None:
    with begun(tmp_path) as one, begun(tmp_path) as two:
        outputs = [process.communicate()[0] for process in (one, two)]
        codes = sorted((one.returncode, two.returncode))
    assert codes in ([0, 0], [0, 1])  # the second one may have come after the first one's end
    (cycle,) = Ledger(tmp_path / "retrain").history().cycles
    assert (cycle.attempts, cycle.outcome, versions(tmp_path / "releases")) == (1, Outcome.PROMOTED, (1,))
    assert sum("cycle 1: release 1 is promoted" in text for text in outputs) == 1
