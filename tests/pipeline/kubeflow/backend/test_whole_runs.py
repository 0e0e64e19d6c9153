"""Whole runs on Kubeflow's real backend: two at once into one store, released, with a killed pod each."""

import re
from pathlib import Path
from typing import Any

import pytest

from components.contract.storage.object_store import Address
from components.contract.storage.store_layout import UNFINISHED
from components.release.outcomes import recorded_outcome
from components.release.publish import versions
from tests.pipeline.kubeflow.backend.conftest import Shop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_600)]

STEPS = 17


@pytest.fixture(scope="module")
def two(shop: Shop) -> tuple[str, str, list[Any]]:
    """Two runs at once, of one pipeline whose Trainer's first pod is killed after an epoch; their ids, and what following them said."""
    file = shop.compiled("shop_two", Trainer="killed-training")
    first, second = shop.started(file), shop.started(file)
    return first, second, [shop.followed(first), shop.followed(second)]


def store(shop: Shop) -> Path:
    return shop.backend.claim("shelfrank")


def test_two_runs_at_once_release_two_versions_into_one_store_and_each_is_told_its_own(shop: Shop, two: Any) -> None:
    first, second, ended = two
    for followed in ended:
        assert followed.returncode == 0, followed.stderr
    told = [re.search(r"the model was released as release (\d) \(source: the artifacts' metadata\)", each.stdout) for each in ended]
    assert sorted(match[1] for match in told if match) == ["1", "2"]
    assert versions(store(shop) / "releases") == (1, 2)
    assert not [*(store(shop) / "releases").glob(f"{UNFINISHED}*")]
    for run_id, match in zip((first, second), told, strict=True):
        outcome = recorded_outcome(Address.parse(store(shop)), run_id)
        assert outcome is not None
        assert (outcome.released, str(outcome.version)) == (True, match and match[1])
    assert all((store(shop) / "serving" / number / "dataset.yaml").exists() for number in "12")


def test_every_step_is_told_from_its_start_to_its_end(shop: Shop, two: Any) -> None:
    ended = two[2][0]
    done = re.findall(r"^\[(\w+)\] done, ", ended.stderr, flags=re.MULTILINE)
    assert len(set(done)) == STEPS == len(done)


def test_a_killed_pod_is_tried_again_and_goes_on_at_its_checkpoint(shop: Shop, two: Any) -> None:
    for run_id in two[:2]:
        killed, again = shop.pods(run_id, "Trainer")
        (state,) = [each["state"] for each in killed["status"]["containerStatuses"] if each["name"] == "main"]
        assert killed["status"]["phase"] == "Failed"
        assert state["terminated"]["exitCode"] != 0
        assert again["status"]["phase"] == "Succeeded"
        assert "taken up at step" in shop.backend.log(again["metadata"]["name"])


def test_what_a_step_said_lies_in_the_object_store(shop: Shop, two: Any) -> None:
    for pod in shop.pods(two[0], "Release"):
        assert "[Release] release " in shop.backend.log(pod["metadata"]["name"])
