"""Check that a training that is killed and started again ends as one that wasn't."""

import os
import re
import shutil
import signal
import time
from glob import glob
from pathlib import Path

import pytest

from tests.trainer.fit.processes import exported, finish, launch

pytestmark = pytest.mark.slow

# Two requests a step: 96 steps an epoch, so that a kill falls into the middle of one.
SETTINGS = "{batch_requests: 2, epochs: 5, patience: 5, checkpoint_steps: 7, averaging: 0.9, warmup_steps: 50}"


def newest(folder):
    """Return the step of the newest checkpoint."""
    return max((int(path.stem) for path in folder.rglob("*.checkpoint")), default=0)


def killed_at(process, folder, step):
    """Kill with SIGKILL once a checkpoint of that step is there; return the step of the newest one."""
    until = time.monotonic() + 300
    while newest(folder) < step:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < until
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    return newest(folder)


def test_two_kills_leave_no_trace(every_kind, tmp_path):
    undisturbed = launch(every_kind, tmp_path / "undisturbed", SETTINGS)
    assert "taken up" not in finish(undisturbed)
    expected, folder = exported(tmp_path / "undisturbed"), tmp_path / "killed"
    seen = [0]
    for attempt, step in enumerate((120, 300), start=1):  # in the second epoch and in the fourth
        seen.append(killed_at(launch(every_kind, folder, SETTINGS, attempt=attempt), folder, step))
    assert seen[1] >= 120
    assert seen[2] >= 300
    output = finish(launch(every_kind, folder, SETTINGS, attempt=3))
    # No more is lost than what came since the last checkpoint.
    assert int(re.search(r"taken up at step (\d+)", output)[1]) == seen[2]
    actual = exported(folder, attempt=3)
    assert all((one == two).all() for one, two in zip(actual.weights, expected.weights, strict=True))
    timeless = ("epoch", "step", "loss", "learning_rate", "eval_auc", "eval_ndcg")
    assert [[row[name] for name in timeless] for row in actual.curve] == [[row[name] for name in timeless] for row in expected.curve]
    assert not list(folder.glob("Trainer/checkpoints/*"))


def test_a_pod_that_is_tried_again_goes_on_from_a_folder_that_outlived_it_though_its_inputs_are_new_copies(every_kind, tmp_path):
    def pod(attempt):
        for path in (*glob(every_kind.train), *glob(every_kind.eval), *Path(every_kind.graph).rglob("*")):
            os.utime(path, (attempt, attempt))
        shutil.rmtree(tmp_path / "pod", ignore_errors=True)
        return launch(every_kind, tmp_path / "pod", SETTINGS.replace("epochs: 5", "epochs: 1"), attempt=attempt, checkpoints=str(kept))

    kept = tmp_path / "volume" / "checkpoints"
    step = killed_at(pod(1), kept, 20)
    assert f"taken up at step {step}," in finish(pod(2))
    assert not list(kept.iterdir())
    assert exported(tmp_path / "pod", attempt=2).curve[-1]["step"] == 96
