"""Whole runs on Kubeflow's real backend: released, two at once into one store, a killed pod, refused, on a schedule."""

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from components.contract.storage.object_store import Address
from components.contract.storage.store_layout import UNFINISHED
from components.release.outcomes import recorded_outcome
from components.release.publish import versions
from tests.engines.kubeflow.backend import HOST
from tests.pipeline.kubeflow.backend.conftest import Shop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_600)]

STEPS = 13


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


@pytest.fixture(scope="module")
def scheduled(shop: Shop) -> dict[str, Any]:
    """A run of Kubeflow's schedule controller whose model is turned round, so that a gate refuses it."""
    file = shop.compiled("shop_refused", settings=SETTINGS_REFUSED, Trainer="backwards")
    made = shop.shelfrank("schedule", file, "--cron", "0 * * * * *", "--host", HOST, "--json", "--name", "each-minute")
    assert made.returncode == 0, made.stderr
    deadline = time.monotonic() + 600
    while not (runs := _runs_of(json.loads(made.stdout)["id"])):
        assert time.monotonic() < deadline, "the controller has started no run"
        time.sleep(2)
    run_id = str(runs[0]["run_id"])
    followed = shop.followed(run_id)
    listed = shop.shelfrank("schedule", "--list", "--host", HOST, "--json")
    removed = shop.shelfrank("schedule", "--remove", "each-minute", "--host", HOST)
    assert removed.returncode == 0, removed.stderr
    for run in _runs_of(json.loads(made.stdout)["id"]):
        if run["run_id"] != run_id:
            shop.shelfrank("submit", "--terminate", run["run_id"], "--host", HOST)
    return {"run_id": run_id, "followed": followed, "listed": listed}


SETTINGS_REFUSED = """
model: {epochs: 1, checkpoint_steps: 1}
gates: {floor: {auc: 0.5}, drop: {auc: 0.9}, slice_drop: {}}
"""


def _runs_of(schedule_id: str) -> list[dict[str, Any]]:
    import urllib.parse
    import urllib.request

    wanted = {"predicates": [{"operation": "EQUALS", "key": "recurring_run_id", "string_value": schedule_id}]}
    query = urllib.parse.urlencode({"filter": json.dumps(wanted), "sort_by": "created_at desc"})
    with urllib.request.urlopen(f"{HOST}/apis/v2beta1/runs?{query}", timeout=60) as response:
        runs: list[dict[str, Any]] = json.loads(response.read()).get("runs", [])
    return sorted(runs, key=lambda run: str(run["created_at"]))


def test_a_refused_model_is_told_with_the_gates_sentence_and_publishes_nothing(shop: Shop, scheduled: dict[str, Any]) -> None:
    followed = scheduled["followed"]
    assert followed.returncode == 3, followed.stderr
    last = followed.stderr.strip().splitlines()[-1]
    assert "the model was refused, nothing was released: AUC 0." in last
    assert "below 0.500" in last
    outcome = recorded_outcome(Address.parse(store(shop)), scheduled["run_id"])
    assert outcome is not None
    assert not outcome.released


def test_a_scheduled_run_reads_the_data_up_to_its_minute(shop: Shop, scheduled: dict[str, Any]) -> None:
    (pod,) = shop.pods(scheduled["run_id"], "EventExampleGen")
    (command,) = [each["command"] for each in pod["spec"]["containers"] if each["name"] == "main"]
    given = json.loads(command[command.index("--executor_input") + 1])["inputs"]["parameterValues"]
    assert given["data_until"] == "cron 0 * * * * * in UTC"
    assert datetime.fromisoformat(pod["status"]["startTime"]) <= datetime.now(UTC)


def test_a_schedules_list_tells_that_its_last_runs_model_was_refused(scheduled: dict[str, Any]) -> None:
    (row,) = json.loads(scheduled["listed"].stdout)
    assert row["last_run"] == scheduled["run_id"]
    assert row["last_outcome"].startswith("refused: AUC 0.")
