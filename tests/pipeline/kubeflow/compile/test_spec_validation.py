"""Each rule of the API server refuses what breaks it, in a sentence that says what was expected and what came."""

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


def parameter(spec: Spec, name: str = "training_steps") -> Spec:
    part: Spec = spec["root"]["inputDefinitions"]["parameters"][name]
    return part


def model(spec: Spec) -> Spec:
    part: Spec = spec["components"]["Trainer"]["outputDefinitions"]["artifacts"]["model"]
    return part


def renamed(spec: Spec, name: str) -> None:
    spec["root"]["dag"]["tasks"][name] = spec["root"]["dag"]["tasks"].pop("SliceReport")


def becomes(spec: Spec, executor: Spec) -> None:
    spec["deploymentSpec"]["executors"]["Champion_executor"] = executor


CASES: list[tuple[str, Callable[[Spec], object], str]] = [
    ("unknown field", lambda s: task(s).update(retries=3), "the pipeline: expected PipelineSpec, which it can't be read as"),
    ("wrong kind", lambda s: trainer(s)["resources"].update(cpuLimit="four"), "deploymentSpec: expected PipelineDeploymentConfig"),
    ("version", lambda s: s.update(schemaVersion="2.0.0"), "schemaVersion: expected 2.1.0, got '2.0.0'"),
    ("no name", lambda s: s["pipelineInfo"].update(name=""), "pipelineInfo.name: expected up to 128 small letters"),
    (
        "name",
        lambda s: s["pipelineInfo"].update(name="my_shop"),
        "a letter or digit first and last, got 'my_shop'; change the dataset's name",
    ),
    ("name's end", lambda s: s["pipelineInfo"].update(name="shop-"), "got 'shop-'"),
    (
        "root",
        lambda s: s.update(defaultPipelineRoot="/data"),
        "defaultPipelineRoot: expected minio://, s3:// or gs:// with a bucket, got '/data'",
    ),
    ("no tasks", lambda s: s["root"]["dag"].update(tasks={}), "root: expected a graph with tasks, got none"),
    (
        "no default",
        lambda s: parameter(s).pop("defaultValue"),
        "parameter training_steps: expected a default, got none; a run that doesn't",
    ),
    ("default's type", lambda s: parameter(s).update(defaultValue="3"), "expected a default of type NUMBER_INTEGER, got '3'"),
    ("bool for a number", lambda s: parameter(s).update(defaultValue=True), "expected a default of type NUMBER_INTEGER, got True"),
    ("no type", lambda s: parameter(s).pop("parameterType"), "parameter training_steps: expected a type, got None"),
    ("task with _", lambda s: renamed(s, "Slice_Report"), "letters, digits and hyphens as its name, got 'Slice_Report'; rename the step"),
    ("task with .", lambda s: renamed(s, "Slice.Report"), "got 'Slice.Report'; rename the step"),
    ("long task", lambda s: renamed(s, "a" * 122), "task " + "a" * 122 + ": expected up to 121 letters"),
    (
        "component",
        lambda s: task(s)["componentRef"].update(name="Other"),
        "task Trainer: expected a component of the pipeline, got 'Other'",
    ),
    ("after nobody", lambda s: task(s)["dependentTasks"].append("Other"), "expected a task that it comes after, got 'Other'"),
    (
        "not after",
        lambda s: task(s)["dependentTasks"].remove("Transform"),
        "artifact transform_graph: expected it to come after 'Transform'",
    ),
    (
        "no such output",
        lambda s: task(s)["inputs"]["artifacts"]["transform_graph"]["taskOutputArtifact"].update(outputArtifactKey="graph"),
        "task Trainer, artifact transform_graph: expected an output of a task, got 'graph' of 'Transform', which there isn't",
    ),
    (
        "TFX's name of a producer",
        lambda s: task(s)["inputs"]["parameters"].update(
            training_steps={"taskOutputParameter": {"producerTask": "Champion_task", "outputParameterKey": "steps"}}
        ),
        "parameter training_steps: expected a value that a task gives, got one of 'Champion_task', which there isn't",
    ),
    (
        "no such parameter",
        lambda s: task(s)["inputs"]["parameters"].update(training_steps={"componentInputParameter": "steps"}),
        "task Trainer, parameter training_steps: expected a parameter of the pipeline, got 'steps'",
    ),
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
    (
        "reserved",
        lambda s: s["components"].update(root={"executorLabel": "Trainer_executor"}),
        "component root: this name is the server's own",
    ),
    (
        "the driver's own output",
        lambda s: s["components"]["Trainer"]["outputDefinitions"]["artifacts"].update({"executor-logs": model(s)}),
        "component Trainer, artifact executor-logs: the driver puts its own in its stead",
    ),
    ("executor", lambda s: s["components"]["Trainer"].update(executorLabel="x"), "component Trainer: expected an executor, got 'x'"),
    (
        "type",
        lambda s: model(s)["artifactType"].update(instanceSchema="title: Model"),
        "expected a type such as tfx.Model or system.Metrics, got 'Model'",
    ),
    ("no type of an artifact", lambda s: model(s).update(artifactType={}), "component Trainer, artifact model: expected a type"),
    ("null", lambda s: model(s).update(metadata={"span": None}), "expected a value of 'span' in its metadata, got null"),
    ("resolver", lambda s: becomes(s, {"resolver": {}}), "Champion_executor: expected a container or an importer, got resolver"),
    ("image", lambda s: trainer(s).update(image="Shop/x"), "Trainer_executor: expected an image such as"),
    ("no command", lambda s: trainer(s).pop("command"), "Trainer_executor: expected a command, got none"),
    ("driver", lambda s: trainer(s).update(lifecycle={"preCacheCheck": {}}), "`lifecycle` is never run by the server"),
    ("argument", lambda s: trainer(s)["args"].append("--name={{pod.name}}"), "'{{pod.name}}' would be replaced by Kubeflow"),
    (
        "cpu",
        lambda s: trainer(s)["resources"].update(resourceCpuLimit="4 cores"),
        "expected resourceCpuLimit such as 2 or 500m, got '4 cores'",
    ),
    (
        "memory",
        lambda s: trainer(s)["resources"].update(resourceMemoryRequest="8 GB"),
        "expected resourceMemoryRequest such as 8Gi or 500Mi",
    ),
    (
        "gpus",
        lambda s: trainer(s)["resources"]["accelerator"].update(resourceCount="0"),
        "expected a number of accelerators from 1 on, got '0'",
    ),
    (
        "gpu",
        lambda s: trainer(s)["resources"]["accelerator"].update(resourceType="a gpu"),
        "expected an accelerator such as nvidia.com/gpu, got 'a gpu'",
    ),
    (
        "more than the limit",
        lambda s: trainer(s)["resources"].update(memoryRequest=64.0, resourceMemoryRequest="64G"),
        "Trainer_executor: expected at most the limit 32Gi of memory to be asked for, got 64G; no such pod starts",
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
    ("other platform", lambda p: p["platforms"].update(slurm={}), "platforms: expected kubernetes alone, got kubernetes, slurm"),
    ("unknown executor", lambda p: executors(p).update(Other_executor={}), "platform of Other_executor: there is no such executor"),
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
