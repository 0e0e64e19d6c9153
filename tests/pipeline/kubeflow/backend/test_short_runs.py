"""Short runs on Kubeflow's real backend: faults of the input, a run ended by hand, one of the schedule controller."""

import json
import re
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.engines.kubeflow.backend import HOST
from tests.pipeline.kubeflow.backend.conftest import Shop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_000)]

EXAMPLES = Path(__file__).parents[4] / "examples" / "cluster"


@pytest.fixture(scope="module")
def pipeline(shop: Shop) -> str:
    return shop.compiled("shop_short")


FAULTS = {
    "DataFingerprint": ("data_root=/shelfrank/nowhere", "/shelfrank/nowhere"),
    "Champion": ("push_destination=ftp://store", "expected a folder, gs://BUCKET/PREFIX or s3://BUCKET/PREFIX, got ftp://store"),
}


def test_faults_of_the_input_are_told_in_their_own_sentences_and_arent_looked_for_twice(shop: Shop, pipeline: str) -> None:
    run_id = shop.started(pipeline, *(word for parameter, _ in FAULTS.values() for word in ("--parameter", parameter)))
    ended = shop.followed(run_id)
    assert ended.returncode == 1
    for step, (_, sentence) in FAULTS.items():
        (told,) = re.findall(rf"^(?:shelfrank submit: )?{step} failed: (.*)$", ended.stderr, flags=re.MULTILINE)
        assert sentence in told
        # Kubernetes has the sentence too, and so the UI, when the pod and its log are gone.
        first, second = shop.pods(run_id, step)
        for pod in (first, second):
            (state,) = [each["state"] for each in pod["status"]["containerStatuses"] if each["name"] == "main"]
            assert sentence in state["terminated"]["message"]
        assert "Traceback" in shop.backend.log(first["metadata"]["name"])
        assert f"[{step}] not tried again" in shop.backend.log(second["metadata"]["name"])
        assert "Traceback" not in shop.backend.log(second["metadata"]["name"])


def test_a_run_is_ended_by_hand(shop: Shop) -> None:
    run_id = shop.started(shop.stubbed("shop_ended", Trainer=["sleep", "86400"]))
    deadline = time.monotonic() + 1_200
    while not [pod for pod in shop.pods(run_id, "Trainer") if pod["status"].get("phase") == "Running"]:
        assert time.monotonic() < deadline, f"the Trainer hasn't begun: {shop.ran(run_id)}"
        time.sleep(1)
    ended = shop.shelfrank("submit", "--terminate", run_id, "--host", HOST)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == f"run {run_id} is being ended: {HOST}/#/runs/details/{run_id}\n"
    # Argo ends the pod by a command in its container, which this kubelet can't start, and the run with it.
    (pod,) = shop.pods(run_id, "Trainer")
    while "exceeded its deadline" not in json.dumps(shop.backend.workflow(run_id)["status"]["nodes"]):
        assert time.monotonic() < deadline, "Argo hasn't ended the Trainer"
        time.sleep(1)
    shop.backend.kubectl("delete", "pod", pod["metadata"]["name"])
    followed = shop.followed(run_id)
    assert followed.returncode == 1
    assert f"shelfrank submit: run {run_id} was cancelled: {HOST}/#/runs/details/{run_id}" in followed.stderr
    assert shop.backend.workflow(run_id)["status"]["phase"] in ("Failed", "Error")
    assert not shop.ran(run_id) & {"Evaluator", "ServingRehearsal", "Release", "FeatureImportance", "SliceReport"}


@pytest.fixture(scope="module")
def scheduled(shop: Shop) -> dict[str, Any]:
    """A run that Kubeflow's schedule controller started, whose steps only write their outputs."""
    compiled = shop.stubbed("on_schedule", cluster=(EXAMPLES / "minikube.yaml").read_text(encoding="utf-8"))
    made = shop.shelfrank("schedule", compiled, "--cron", "0 * * * * *", "--host", HOST, "--json", "--name", "each-minute")
    assert made.returncode == 0, made.stderr
    key = json.loads(made.stdout)["id"]
    deadline = time.monotonic() + 600
    while not (runs := runs_of(key)):
        assert time.monotonic() < deadline, "the controller has started no run"
        time.sleep(2)
    shop.followed(runs[0]["run_id"])
    assert shop.shelfrank("schedule", "--remove", "each-minute", "--host", HOST).returncode == 0
    for run in runs_of(key)[1:]:
        shop.shelfrank("submit", "--terminate", run["run_id"], "--host", HOST)
    return runs[0]


def runs_of(schedule_id: str) -> list[dict[str, Any]]:
    """Return the runs of a schedule, the first one first."""
    wanted = {"predicates": [{"operation": "EQUALS", "key": "recurring_run_id", "string_value": schedule_id}]}
    query = urllib.parse.urlencode({"filter": json.dumps(wanted)})
    with urllib.request.urlopen(f"{HOST}/apis/v2beta1/runs?{query}", timeout=60) as response:
        runs: list[dict[str, Any]] = json.loads(response.read()).get("runs", [])
    return sorted(runs, key=lambda run: str(run["created_at"]))


def test_a_scheduled_run_is_given_its_own_time_as_the_end_of_the_data(shop: Shop, scheduled: dict[str, Any]) -> None:
    (pod,) = shop.pods(scheduled["run_id"], "DataFingerprint")
    (command,) = [each["command"] for each in pod["spec"]["containers"] if each["name"] == "main"]
    values = json.loads(command[command.index("--executor_input") + 1])["inputs"]["parameterValues"]
    assert values["data_until"] == "cron 0 * * * * * in UTC"
