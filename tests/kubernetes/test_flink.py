"""The example's Flink cluster has what the steps on Beam need, at the addresses of the cluster file that goes with it."""

import re
from typing import Any

import kubernetes_validate

from pipeline.beam.preset_options import POOL, Flink
from pipeline.kubeflow.compile.beam_volumes import beam_settings
from pipeline.kubeflow.compile.cluster import load_cluster, with_overrides
from tests.kubernetes.rendered import ROOT, Doc, Pod, only, pod, rendered

CLUSTER = with_overrides(load_cluster(ROOT / "examples" / "cluster" / "flink.yaml"))


def flink(kind: str, name: str) -> Doc:
    return only(rendered("engines/flink"), kind, name)


def job_server() -> Pod:
    return pod(rendered("engines/flink"), "beam-flink")


def preset() -> Flink:
    chosen = beam_settings(CLUSTER)
    assert isinstance(chosen, Flink)
    return chosen


def session() -> dict[str, Any]:
    spec: dict[str, Any] = flink("FlinkDeployment", "flink")["spec"]
    return spec


def workers() -> Doc:
    (container,) = [each for each in session()["taskManager"]["podTemplate"]["spec"]["containers"] if each["name"] == "beam-workers"]
    return dict(container)


def test_the_steps_reach_the_job_server() -> None:
    service = flink("Service", "beam-flink")
    ports = {port["name"]: f"{service['metadata']['name']}:{port['port']}" for port in service["spec"]["ports"]}
    assert ports == {"jobs": preset().job_endpoint, "artifacts": preset().artifact_endpoint}
    server = job_server()
    flags = dict(word.removeprefix("--").split("=") for word in server.container("job-server")["args"])
    assert server.ports() == {"jobs": int(flags["job-port"]), "artifacts": int(flags["artifact-port"])}
    assert [port["targetPort"] for port in service["spec"]["ports"]] == list(server.ports())
    # So the operator names the Service of the JobManager's REST API.
    assert flags["flink-master"] == f"{flink('FlinkDeployment', 'flink')['metadata']['name']}-rest:8081"
    assert flags["job-host"] == "0.0.0.0"


def test_the_worker_pool_is_where_the_preset_looks_for_it() -> None:
    assert workers()["command"] == ["python", "-m", "pipeline.beam.worker_pool"]
    assert workers()["args"] == [f"--port={POOL.rpartition(':')[2]}"]
    assert preset().pool == POOL


def test_steps_and_workers_open_the_same_files() -> None:
    spec = session()["taskManager"]["podTemplate"]["spec"]
    claims = {each["name"]: each["persistentVolumeClaim"]["claimName"] for each in spec["volumes"] if "persistentVolumeClaim" in each}
    mounted = {(claims[each["name"]], each["mountPath"]) for each in workers()["volumeMounts"] if each["name"] in claims}
    assert mounted == {(volume.claim, volume.path) for volume in CLUSTER.volumes}
    # TaskManagers read again what the job server wrote.
    flags = dict(word.removeprefix("--").split("=") for word in job_server().container("job-server")["args"])
    (main,) = [each for each in spec["containers"] if each["name"] == "flink-main-container"]
    (read,) = main["volumeMounts"]
    (written,) = [each for each in job_server().container("job-server")["volumeMounts"] if each["mountPath"] == read["mountPath"]]
    assert flags["artifacts-dir"].startswith(f"{read['mountPath']}/")
    server = {each["name"]: each for each in job_server().spec["volumes"]}
    assert claims[read["name"]] == server[written["name"]]["persistentVolumeClaim"]["claimName"]


def test_flink_is_configured_as_the_steps_need_it() -> None:
    config = session()["flinkConfiguration"]
    assert config["classloader.resolve-order"] == "parent-first"
    assert config["taskmanager.network.sort-shuffle.min-buffers"] == "64"
    assert config["taskmanager.memory.network.min"] == config["taskmanager.memory.network.max"] == "768m"
    assert config["restart-strategy.type"] == "fixed-delay"
    assert config["jobmanager.execution.failover-strategy"] == "full"
    assert all(isinstance(value, str) for value in config.values())
    assert preset().parallelism == 2 * int(config["taskmanager.numberOfTaskSlots"])
    assert int(preset().processes) <= int(workers()["resources"]["limits"]["cpu"])


def test_the_versions_are_those_of_the_lock_and_of_one_flink() -> None:
    lock = (ROOT / "requirements" / "runtime.lock").read_text()
    beam = re.search(r"^apache-beam==(\S+)", lock, re.MULTILINE)
    assert beam is not None
    version = re.fullmatch(r"flink:(\d+\.\d+)\.\d+-java11", session()["image"])
    assert version is not None
    assert job_server().container("job-server")["image"] == f"apache/beam_flink{version[1]}_job_server:{beam[1]}"
    assert session()["flinkVersion"] == f"v{version[1].replace('.', '_')}"
    own = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert own is not None
    assert workers()["image"] == f"shelfrank/pipeline:{own[1]}"


def test_what_the_operator_passes_on_to_a_pod_is_valid() -> None:
    spec = session()["taskManager"]["podTemplate"]["spec"]
    kubernetes_validate.validate({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec}, "1.37", strict=True)
    for kind, name in (("Deployment", "beam-flink"), ("Service", "beam-flink"), ("PersistentVolumeClaim", "artifacts")):
        kubernetes_validate.validate(flink(kind, name), "1.37", strict=True)
