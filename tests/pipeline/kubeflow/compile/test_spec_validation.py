"""Each rule refuses what breaks it, in a sentence that says what was expected and what came."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.contract.errors import ClusterFileError
from pipeline.kubeflow.compile.cluster import load_cluster, with_overrides
from pipeline.kubeflow.compile.compile import Compiled, compile_pipeline
from pipeline.kubeflow.compile.spec_validation import check

ROOT = Path(__file__).resolve().parents[4]
Spec = dict[str, Any]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def made() -> Compiled:
    shop = (ROOT / "examples" / "simulated_shop.yaml").read_text(encoding="utf-8")
    return compile_pipeline(shop, with_overrides(load_cluster(ROOT / "examples" / "cluster" / "gpu.yaml")))


def trainer(spec: Spec) -> Spec:
    part: Spec = spec["deploymentSpec"]["executors"]["Trainer_executor"]["container"]
    return part


def task(spec: Spec, name: str = "Trainer") -> Spec:
    part: Spec = spec["root"]["dag"]["tasks"][name]
    return part


CASES: list[tuple[str, Callable[[Spec], object], str]] = [
    ("unknown field", lambda s: task(s).update(retries=3), "the pipeline: expected PipelineSpec, which it can't be read as"),
    ("wrong kind", lambda s: trainer(s)["resources"].update(cpuLimit="four"), "deploymentSpec: expected PipelineDeploymentConfig"),
    (
        "replaced by Argo",
        lambda s: task(s, "Champion")["inputs"]["parameters"]["dataset"]["runtimeValue"].update(constant="name: {{workflow.name}}"),
        "task Champion, parameter dataset: '{{workflow.name}}' would be replaced by Kubeflow",
    ),
    (
        "more than an argument holds",
        lambda s: task(s, "Champion")["inputs"]["parameters"]["dataset"]["runtimeValue"].update(constant="# a comment\n" * 10_000),
        "task Champion: expected parameters of up to 114,688 bytes, which a container can be started with, got 13",
    ),
    ("argument", lambda s: trainer(s)["args"].append("--name={{pod.name}}"), "Trainer: '{{pod.name}}' would be replaced by Kubeflow"),
    (
        "variable",
        lambda s: trainer(s).update(env=[{"name": "NAME", "value": "{{pod.name}}"}]),
        "Trainer, environment variable NAME: '{{pod.name}}' would be replaced by Kubeflow",
    ),
    (
        "gpu",
        lambda s: trainer(s)["resources"]["accelerator"].update(resourceType="a gpu"),
        "expected an accelerator such as nvidia.com/gpu, got 'a gpu'",
    ),
    (
        "more than the limit",
        lambda s: trainer(s)["resources"].update(memoryRequest=64.0, resourceMemoryRequest="64G"),
        "Trainer: expected at most the limit 32Gi of memory requested, got 64G; no such pod starts",
    ),
]


@pytest.mark.parametrize(("spoil", "complaint"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_the_pipeline_is_refused(made: Compiled, spoil: Callable[[Spec], object], complaint: str) -> None:
    spec = copy.deepcopy(made.spec)
    spoil(spec)
    with pytest.raises(ClusterFileError) as raised:
        check(spec, made.platform)
    assert complaint in str(raised.value)


def executors(platform: Spec) -> Spec:
    part: Spec = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return part


PLATFORM: list[tuple[str, Callable[[Spec], object], str]] = [
    (
        "unknown field",
        lambda p: executors(p)["Trainer_executor"].update(gpu=1),
        "platform of Trainer_executor: expected KubernetesExecutorConfig",
    ),
    (
        "the launcher's own",
        lambda p: executors(p)["Trainer_executor"]["pvcMount"].append({"constant": "b", "mountPath": "/minio"}),
        "platform of Trainer_executor: expected a path for a volume where Kubeflow mounts none itself, got /minio",
    ),
    (
        "one path twice",
        lambda p: executors(p)["Trainer_executor"]["pvcMount"].append({"constant": "b", "mountPath": "/dev/shm"}),
        "platform of Trainer_executor: expected one volume at each path, got /dev/shm, /dev/shm, /shelfrank",
    ),
]


@pytest.mark.parametrize(("spoil", "complaint"), [case[1:] for case in PLATFORM], ids=[case[0] for case in PLATFORM])
def test_the_platform_document_is_refused(made: Compiled, spoil: Callable[[Spec], object], complaint: str) -> None:
    platform = copy.deepcopy(made.platform)
    spoil(platform)
    with pytest.raises(ClusterFileError) as raised:
        check(made.spec, platform)
    assert complaint in str(raised.value)


def test_what_is_compiled_breaks_no_rule(made: Compiled) -> None:
    check(made.spec, made.platform)


def test_a_dataset_file_that_kubeflow_would_rewrite_is_refused_when_it_is_compiled() -> None:
    shop = (ROOT / "examples" / "simulated_shop.yaml").read_text(encoding="utf-8")
    with pytest.raises(ClusterFileError, match=r"task Champion, parameter dataset: '\{\{inputs.parameters.x\}\}"):
        compile_pipeline(
            shop + "\n# {{inputs.parameters.x}}\n", with_overrides(load_cluster(ROOT / "examples" / "cluster" / "minikube.yaml"))
        )
