"""The failures of the steps that need others' results: a full disk for each, what is before it from the cache of a whole run.

AnomalyGate and DriftGate write nothing: their failure is their verdict on the data. Release, of a refused model, writes
to the store alone.
"""

import re

import pytest

from tests.pipeline.kubeflow.backend.conftest import FEW, RefusedRun, Shop
from tests.pipeline.kubeflow.backend.test_step_failures import FULL_DISK

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_800)]

# Steps of one row don't wait for each other.
TOGETHER = (
    ("DriftCheck", "DriftReference", "StatisticsGen"),
    ("ExampleValidator",),
    ("Transform",),
    ("Trainer",),
    ("Evaluator", "ServingRehearsal"),
    ("Release",),
    ("FeatureImportance",),
    ("SliceReport",),
)
PLANTS = {"Release": "full-store"}


@pytest.mark.parametrize("steps", TOGETHER, ids="-".join)
def test_following_the_run_and_the_pods_status_say_what_failed(shop: Shop, refused: RefusedRun, steps: tuple[str, ...]) -> None:
    file = shop.planted(refused.file, "_".join(steps), **{step: PLANTS.get(step, "full-disk") for step in steps})
    run_id = shop.started(file, *FEW)
    followed = shop.followed(run_id)
    assert followed.returncode == 1, followed.stderr
    told = re.findall(r"^(?:shelfrank submit: )?(\w+) failed: main: Error \(exit code 1\): (.*)$", followed.stderr, re.MULTILINE)
    assert {step for step, _ in told} == set(steps), followed.stderr
    for step, sentence in told:
        assert re.match(FULL_DISK.format(step=step), sentence), sentence
        (pod,) = [each for each in shop.pods(run_id, step) if each["status"]["phase"] == "Failed"][-1:]
        (state,) = [each["state"]["terminated"] for each in pod["status"]["containerStatuses"] if each["name"] == "main"]
        assert re.match(FULL_DISK.format(step=step), state["message"]), state["message"]
