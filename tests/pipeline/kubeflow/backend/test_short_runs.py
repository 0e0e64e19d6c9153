"""Short runs on Kubeflow's real backend: faults of the input, the cache, a termination, pods of each cluster file, a schedule."""

import json
import re
import shutil
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.release.run_outcome import RunOutcome
from pipeline.kubeflow.compile.cluster import Cluster, load_cluster
from tests.engines.kubeflow.backend import HOST
from tests.pipeline.kubeflow.backend.conftest import Shop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_000)]

EXAMPLES = Path(__file__).parents[4] / "examples" / "cluster"


@pytest.fixture(scope="module")
def pipeline(shop: Shop) -> str:
    return shop.compiled("shop_short")


def wait_for(shop: Shop, run_id: str, *steps: str) -> None:
    """Wait until these steps have ended well."""
    deadline = time.monotonic() + 1_200
    while missing := [step for step in steps if not any(each["phase"] == "Succeeded" for each in executions(shop, run_id, step))]:
        assert time.monotonic() < deadline, f"{missing} haven't ended"
        time.sleep(1)


def executions(shop: Shop, run_id: str, step: str) -> list[dict[str, Any]]:
    """Return the nodes of a step's part of the workflow."""
    nodes = shop.backend.workflow(run_id).get("status", {}).get("nodes", {}).values()
    return [node for node in nodes if node["displayName"] == step]


def terminated(shop: Shop, run_id: str) -> None:
    assert shop.shelfrank("submit", "--terminate", run_id, "--host", HOST).returncode == 0
    ended = shop.followed(run_id)
    assert ended.returncode == 1
    assert f"run {run_id} was cancelled" in ended.stderr


FAULTS = {
    "EventExampleGen": ("data_root=/shelfrank/nowhere", "/shelfrank/nowhere"),
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


def test_what_is_cached_depends_on_the_data_and_not_on_its_path(shop: Shop, pipeline: str) -> None:
    data = shop.backend.claim("shelfrank") / "data-that-grows"
    shutil.copytree(shop.folder / "data", data)
    last = max((data / "events").iterdir())
    content = last.read_bytes()
    last.unlink()
    read, ran = [], []
    for _ in range(2):
        run_id = shop.started(pipeline, "--parameter", "data_root=/shelfrank/data-that-grows")
        wait_for(shop, run_id, "ContractSchema", "EventExampleGen")
        ran.append({step: len(shop.pods(run_id, step)) for step in ("ContractSchema", "EventExampleGen")})
        (report,) = [key for key in shop.objects(run_id) if key.endswith("/report/report.json")]
        read.append(json.loads(shop.object(report))["counts"])
        terminated(shop, run_id)
        last.write_bytes(content)
    # The schema depends on the dataset file and the code alone.
    assert ran[1] == {"ContractSchema": 0, "EventExampleGen": 1}
    assert read[0] != read[1]


_MAKE_OUTPUTS = """
import json, pathlib, sys
outputs, refused = json.loads(sys.argv[1])["outputs"], json.loads(sys.argv[2])
for name, listed in outputs["artifacts"].items():
    if name != "executor-logs":
        folder = pathlib.Path(listed["artifacts"][0]["uri"].replace("minio://", "/minio/"))
        folder.mkdir(parents=True)
        (folder / "file").write_text(name)
if "pushed_model" in outputs["artifacts"]:
    said = {"artifacts": {"pushed_model": {"artifacts": [{"metadata": {"outcome": json.dumps(refused)}}]}}}
    pathlib.Path(outputs["outputFile"]).write_text(json.dumps(said))
"""
_REFUSED = RunOutcome(False, None, ["AUC 0.412 is below 0.500."])


def planted(shop: Shop, name: str, file: Path) -> tuple[str, Cluster]:
    """Compile a pipeline for a cluster file, with containers that only write their outputs, into the store that there is."""
    cluster = load_cluster(file)
    compiled = shop.compiled(name, cluster=file.read_text(encoding="utf-8"))
    spec, platform = yaml.safe_load_all((shop.folder / compiled).read_text(encoding="utf-8"))
    spec.pop("defaultPipelineRoot", None)
    for executor in spec["deploymentSpec"]["executors"].values():
        executor["container"] |= {"command": ["python", "-S", "-c", _MAKE_OUTPUTS], "args": ["{{$}}", _REFUSED.to_json()]}
    (shop.folder / compiled).write_text(yaml.safe_dump_all([spec, platform]), encoding="utf-8")
    return compiled, cluster


@pytest.mark.parametrize("example", ["minikube", "gpu", "eks", "gke"])
def test_each_steps_pod_is_as_the_example_cluster_file_says(shop: Shop, example: str) -> None:
    shop.backend.kubectl("apply", "-f", "-", given=json.dumps(_SECRET))
    compiled, cluster = planted(shop, f"on_{example}", EXAMPLES / f"{example}.yaml")
    run_id = shop.started(compiled)
    shop.followed(run_id)
    nodes = shop.backend.workflow(run_id)["status"]["nodes"].values()
    assert not [(node["displayName"], node.get("message")) for node in nodes if node["phase"] != "Succeeded"]
    for step in ("EventExampleGen", "StatisticsGen", "Trainer"):
        (pod,) = shop.pods(run_id, step)
        check_pod(pod["spec"], cluster, step)


_SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "shelfrank-s3"},
    "stringData": {"access_key": "minio", "secret_key": "minio123"},
}


def check_pod(pod: dict[str, Any], cluster: Cluster, step: str) -> None:
    """Compare a pod with what the cluster file says of its step."""
    said = cluster.step(step)
    (main,) = [each for each in pod["containers"] if each["name"] == "main"]
    gpu = cluster.gpu if cluster.gpu and step in cluster.gpu.steps else None
    assert main["image"] == cluster.image(step)
    resources = main.get("resources", {})
    for kind, bound, amount in (
        ("cpu", "requests", said.cpu),
        ("memory", "requests", said.memory),
        ("cpu", "limits", said.cpu_limit),
        ("memory", "limits", said.memory_limit),
    ):
        assert resources.get(bound, {}).get(kind) == amount
    assert resources.get("limits", {}).get("nvidia.com/gpu") == (str(gpu.count) if gpu else None)
    assert pod.get("nodeSelector", {}) == {**(said.node_selector or {}), **(gpu.node_selector if gpu else {})}
    tolerated = {(each.get("key"), each.get("effect")) for each in pod.get("tolerations", [])}
    assert {(each.key, each.effect) for each in (gpu.tolerations if gpu else ())} <= tolerated
    assert pod["activeDeadlineSeconds"] == said.timeout
    claims = {each["name"]: each["persistentVolumeClaim"]["claimName"] for each in pod["volumes"] if "persistentVolumeClaim" in each}
    mounted = {(claims[each["name"]], each["mountPath"]) for each in main["volumeMounts"] if each["name"] in claims}
    assert mounted == {(volume.claim, volume.path) for volume in cluster.volumes}
    variables = {each["name"]: each for each in main["env"]}
    for name, value in cluster.env.items():
        assert variables[name]["value"] == value
    for secret in cluster.secrets:
        for key, variable in secret.env.items():
            reference = variables[variable]["valueFrom"]["secretKeyRef"]
            assert (reference["name"], reference["key"]) == (secret.name, key)
    assert [each["name"] for each in pod.get("imagePullSecrets", [])] == list(cluster.pull.secrets)
    if cluster.pull.policy:
        assert main["imagePullPolicy"] == cluster.pull.policy


@pytest.fixture(scope="module")
def scheduled(shop: Shop) -> dict[str, Any]:
    """A run that Kubeflow's schedule controller started, whose Release says that a gate refused the model."""
    compiled, _ = planted(shop, "on_schedule", EXAMPLES / "minikube.yaml")
    made = shop.shelfrank("schedule", compiled, "--cron", "0 * * * * *", "--host", HOST, "--json", "--name", "each-minute")
    assert made.returncode == 0, made.stderr
    key = json.loads(made.stdout)["id"]
    deadline = time.monotonic() + 600
    while not (runs := runs_of(key)):
        assert time.monotonic() < deadline, "the controller has started no run"
        time.sleep(2)
    followed = shop.followed(runs[0]["run_id"])
    listed = shop.shelfrank("schedule", "--list", "--host", HOST, "--json")
    assert shop.shelfrank("schedule", "--remove", "each-minute", "--host", HOST).returncode == 0
    for run in runs_of(key)[1:]:
        shop.shelfrank("submit", "--terminate", run["run_id"], "--host", HOST)
    return {"run": runs[0], "followed": followed, "listed": listed}


def runs_of(schedule_id: str) -> list[dict[str, Any]]:
    """Return the runs of a schedule, the first one first."""
    wanted = {"predicates": [{"operation": "EQUALS", "key": "recurring_run_id", "string_value": schedule_id}]}
    query = urllib.parse.urlencode({"filter": json.dumps(wanted)})
    with urllib.request.urlopen(f"{HOST}/apis/v2beta1/runs?{query}", timeout=60) as response:
        runs: list[dict[str, Any]] = json.loads(response.read()).get("runs", [])
    return sorted(runs, key=lambda run: str(run["created_at"]))


def test_a_refusal_is_told_in_the_gates_sentence_by_its_artifacts_metadata(scheduled: dict[str, Any]) -> None:
    assert scheduled["followed"].returncode == 3, scheduled["followed"].stderr
    last = scheduled["followed"].stderr.strip().splitlines()[-1]
    assert last.endswith(f"nothing was released: {_REFUSED.refusals[0]} (source: the artifacts' metadata)")


def test_a_scheduled_run_is_given_its_own_time_as_the_end_of_the_data(shop: Shop, scheduled: dict[str, Any]) -> None:
    (pod,) = shop.pods(scheduled["run"]["run_id"], "EventExampleGen")
    (command,) = [each["command"] for each in pod["spec"]["containers"] if each["name"] == "main"]
    values = json.loads(command[command.index("--executor_input") + 1])["inputs"]["parameterValues"]
    assert values["data_until"] == "cron 0 * * * * * in UTC"


def test_the_schedules_list_tells_that_its_latest_runs_model_was_refused(scheduled: dict[str, Any]) -> None:
    (row,) = json.loads(scheduled["listed"].stdout)
    assert row["last_run"] == scheduled["run"]["run_id"]
    assert row["last_outcome"] == f"refused: {_REFUSED.refusals[0]}"
