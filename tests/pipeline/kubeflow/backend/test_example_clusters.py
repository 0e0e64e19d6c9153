"""The pipeline of each example cluster file for Kubeflow, on the real API server and Argo: its order, and the pods that come of it.

Containers only write their outputs, and what no process has (GPUs, nodes, limits) is read from the pods as Argo made them.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.pipeline.kubeflow.backend.conftest import Shop, create_bucket

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_000)]

EXAMPLES = Path(__file__).parents[4] / "examples" / "cluster"
# Google's store can't be had here, so that run's artifacts go to the namespace's default.
ROOTS = {"minikube": None, "gpu": None, "gke": None, "eks": "s3://my-bucket/pipelines", "flink": "minio://mlpipeline/shelfrank"}
REGISTRY, GOOGLE = "registry.example.com/shelfrank", "europe-west1-docker.pkg.dev/my-project/shelfrank"
AMAZON = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/shelfrank"
NVIDIA = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
SHOP = {"/shelfrank": "shelfrank"}


def pod(image: str, *, cpu: str = "", memory: str = "", limit: str = "", hours: int, **more: Any) -> dict[str, Any]:
    """What is expected of a pod: its container's image and resources, its deadline, and more."""
    gpus = {"nvidia.com/gpu": "1"} if "shared" in more else {}
    requests = {key: amount for key, amount in (("cpu", cpu), ("memory", memory)) if amount} | gpus  # Kubernetes requests what is limited
    limits = ({"memory": limit} if limit else {}) | gpus
    resources = {key: amounts for key, amounts in (("requests", requests), ("limits", limits)) if amounts}
    some = {
        "claims": {},
        "selector": {},
        "tolerations": [],
        "pull_secrets": [],
        "pull": "IfNotPresent",
        "variables": {},
        "secrets": {},
        "shared": "",
    }
    return some | {"image": image, "resources": resources, "deadline_s": hours * 3600} | more


EKS: dict[str, Any] = {
    "claims": SHOP,
    "variables": {"AWS_REGION": "eu-central-1"},
    "secrets": {"AWS_ACCESS_KEY_ID": ("shelfrank-s3", "access_key"), "AWS_SECRET_ACCESS_KEY": ("shelfrank-s3", "secret_key")},
}
GPU: dict[str, Any] = {"claims": SHOP, "pull_secrets": ["registry"]}
EXPECTED = {
    ("minikube", "StatisticsGen"): pod("shelfrank/pipeline:0.1.0", cpu="500m", memory="1Gi", limit="3Gi", hours=1, claims=SHOP),
    ("minikube", "Trainer"): pod("shelfrank/pipeline:0.1.0", cpu="1", memory="2Gi", limit="4Gi", hours=3, claims=SHOP),
    ("gpu", "StatisticsGen"): pod(f"{REGISTRY}/pipeline:0.1.0", cpu="1", memory="8Gi", limit="16Gi", hours=2, **GPU),
    ("gpu", "Trainer"): pod(
        *(f"{REGISTRY}/trainer:0.1.0",),
        **{"cpu": "4", "memory": "16Gi", "limit": "32Gi", "hours": 12, "shared": "4Gi", **GPU},
        selector={"accelerator": "nvidia"},
        tolerations=[NVIDIA],
    ),
    ("gke", "EventExampleGen"): pod(f"{GOOGLE}/pipeline:0.1.0", cpu="8", memory="32Gi", limit="48Gi", hours=6),
    ("gke", "Trainer"): pod(
        *(f"{GOOGLE}/trainer:0.1.0",),
        **{"cpu": "4", "memory": "16Gi", "limit": "32Gi", "hours": 12, "shared": "2Gi"},
        selector={"cloud.google.com/gke-accelerator": "nvidia-l4"},
        tolerations=[NVIDIA],
    ),
    ("eks", "Transform"): pod(f"{AMAZON}/pipeline:0.1.0", cpu="4", memory="16Gi", limit="32Gi", hours=6, **EKS),
    ("eks", "Trainer"): pod(
        *(f"{AMAZON}/trainer:0.1.0",),
        **{"cpu": "3", "memory": "12Gi", "limit": "14Gi", "hours": 12, "shared": "2Gi", **EKS},
        selector={"node.kubernetes.io/instance-type": "g5.xlarge"},
        tolerations=[NVIDIA],
    ),
    ("flink", "Transform"): pod(f"{REGISTRY}/pipeline:0.1.0", hours=6, claims=SHOP | {"/minio/mlpipeline": "artifacts"}),
}


@pytest.fixture(scope="module")
def runs(shop: Shop) -> dict[str, tuple[str, str]]:
    """The run of each example, all at once, ended: its file and its id."""
    create_bucket("my-bucket")
    shop.backend.claim("artifacts")
    keys = {"access_key": "a", "secret_key": "b"}
    secret = {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "shelfrank-s3"}, "stringData": keys}
    shop.backend.kubectl("apply", "-f", "-", given=json.dumps(secret))
    files = {
        name: shop.stubbed(f"on_{name}", cluster=(EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8"), pipeline_root=root)
        for name, root in ROOTS.items()
    }
    started = {name: (file, shop.started(file)) for name, file in files.items()}
    for _, run_id in started.values():
        shop.followed(run_id)
    return started


def test_every_example_is_here_but_that_for_vertex() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.yaml")} == {*ROOTS, "vertex"}


@pytest.mark.parametrize("name", ROOTS)
def test_every_step_runs_once_after_those_that_it_waits_for(shop: Shop, runs: dict[str, tuple[str, str]], name: str) -> None:
    file, run_id = runs[name]
    workflow = shop.backend.workflow(run_id)
    assert workflow["status"]["phase"] == "Succeeded"
    spec, _ = yaml.safe_load_all((shop.folder / file).read_text(encoding="utf-8"))
    spans = {step: (first, last) for step, first, last in executors(workflow)}
    before = {step: set(waited_for(task)) for step, task in spec["root"]["dag"]["tasks"].items()}
    assert set(spans) == set(before)
    for step, others in before.items():
        assert all(spans[other][1] <= spans[step][0] for other in others), (step, others)
    assert "DataFingerprint" in before["EventExampleGen"]
    assert before["Release"] >= {"Evaluator", "ServingRehearsal"}


def executors(workflow: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield each step's name, and when its own pod began and ended, as text that sorts."""
    for node in workflow["status"]["nodes"].values():
        path = node["name"].split(".")
        if node["type"] == "Pod" and len(path) > 3:
            yield path[2], node["startedAt"], node["finishedAt"]


def waited_for(task: dict[str, Any]) -> Iterator[str]:
    inputs = task.get("inputs", {})
    yield from task.get("dependentTasks", ())
    yield from (each["taskOutputArtifact"]["producerTask"] for each in inputs.get("artifacts", {}).values())
    yield from (
        each["taskOutputParameter"]["producerTask"] for each in inputs.get("parameters", {}).values() if "taskOutputParameter" in each
    )


@pytest.mark.parametrize(("name", "step"), EXPECTED)
def test_a_pod_has_what_the_cluster_file_says(shop: Shop, runs: dict[str, tuple[str, str]], name: str, step: str) -> None:
    (made,) = shop.pods(runs[name][1], step)
    assert read_pod(made["spec"]) == EXPECTED[name, step]


def read_pod(spec: dict[str, Any]) -> dict[str, Any]:
    """Return what of a pod comes from the cluster file."""
    (main,) = [each for each in spec["containers"] if each["name"] == "main"]
    claims = {each["name"]: each["persistentVolumeClaim"]["claimName"] for each in spec["volumes"] if "persistentVolumeClaim" in each}
    memory = {each["name"]: each["emptyDir"].get("sizeLimit") for each in spec["volumes"] if each.get("emptyDir", {}).get("medium")}
    ours = [each for each in main["env"] if not each["name"].startswith(("KFP_", "ARGO_"))]
    return {
        "image": main["image"],
        "resources": main["resources"],
        "deadline_s": spec["activeDeadlineSeconds"],
        "claims": {mount["mountPath"]: claims[mount["name"]] for mount in main["volumeMounts"] if mount["name"] in claims},
        "shared": "".join(memory[mount["name"]] for mount in main["volumeMounts"] if mount["name"] in memory),
        "selector": spec.get("nodeSelector", {}),
        "tolerations": [each for each in spec["tolerations"] if not each["key"].startswith("node.kubernetes.io/")],
        "pull_secrets": [each["name"] for each in spec.get("imagePullSecrets", [])],
        "pull": main["imagePullPolicy"],
        "variables": {each["name"]: each["value"] for each in ours if "valueFrom" not in each},
        "secrets": {
            each["name"]: (each["valueFrom"]["secretKeyRef"]["name"], each["valueFrom"]["secretKeyRef"]["key"])
            for each in ours
            if "valueFrom" in each
        },
    }


def test_a_root_of_the_cluster_file_is_where_the_artifacts_lie(shop: Shop, runs: dict[str, tuple[str, str]]) -> None:
    assert any(key.startswith("pipelines/on-eks/") for key in shop.objects(runs["eks"][1], bucket="my-bucket"))
    assert any(key.startswith("shelfrank/on-flink/") for key in shop.objects(runs["flink"][1]))
