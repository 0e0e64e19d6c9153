"""What TFX's compiler leaves out of a pipeline for Kubeflow, put in; plain dictionaries in and out.

TFX 1.21 (`KubeflowV2DagRunner` with `use_pipeline_spec_2_1`) gives a PipelineSpec that lacks the parameters' defaults, resources, retries
and all that only Kubernetes knows of, which stands in a second document.
"""

import copy
import json
from collections.abc import Iterator
from typing import Any

from pipeline.kubeflow.compile.cluster import Cluster, Gpu, Step, Toleration
from pipeline.kubeflow.compile.parameters import Parameter
from pipeline.kubeflow.step.invocation import OUTPUT_NAMES

Document = dict[str, Any]

# Their result depends on more than their inputs and parameters: files that others write, and a store that must have the release.
UNCACHED = ("EventExampleGen", "Champion", "Release")
# What Kubeflow shows by itself beside a step: numbers of an artifact, and a page.
_SHOWN = {("SliceReport", "metrics"): "system.Metrics", ("SliceReport", "page"): "system.HTML"}
RUN_ID = "{{$.pipeline_job_uuid}}"
"""Kubeflow's driver puts the run's id in its place, in a parameter that is this and nothing else."""

_RECORDS_OUTCOME = "Release"
_SHARED_MEMORY = "shared-memory"
_GIGABYTE = 1e9  # the unit of the numbers that older backends read
_SUFFIXES = {f"{unit}{i}": base**power for power, unit in enumerate("KMGTPE", 1) for i, base in (("", 1000.0), ("i", 1024.0))} | {"": 1.0}


def finished(spec: Document, cluster: Cluster, parameters: tuple[Parameter, ...]) -> Document:
    """The pipeline's document as the API server takes it.

    Args:
        spec: as TFX compiled it.
        cluster: what its steps get.
        parameters: those that a run can be started with.
    """
    spec = copy.deepcopy(spec)
    if cluster.pipeline_root:
        spec["defaultPipelineRoot"] = cluster.pipeline_root
    inputs = spec["root"]["inputDefinitions"]["parameters"]
    for parameter in parameters:
        inputs[parameter.name] |= {"defaultValue": parameter.default, "isOptional": True, "description": parameter.about}
    for name, task in spec["root"]["dag"]["tasks"].items():
        step = cluster.step(name)
        task["cachingOptions"] = {} if name in UNCACHED else {"enableCache": True}
        if step.retries:
            task["retryPolicy"] = _retry(step)
        for given in task.get("inputs", {}).get("parameters", {}).values():
            if produced := given.get("taskOutputParameter"):
                # TFX calls the producer by a name that no task has.
                produced["producerTask"] = produced["producerTask"].removesuffix("_task")
        if name == _RECORDS_OUTCOME:
            task["inputs"]["parameters"]["run_id"] = {"runtimeValue": {"constant": RUN_ID}}
    for (name, output), title in _SHOWN.items():
        artifacts = spec["components"].get(name, {}).get("outputDefinitions", {}).get("artifacts", {})
        if output in artifacts:
            artifacts[output]["artifactType"] = {"schemaTitle": title, "schemaVersion": "0.0.1"}
    for name, container in containers(spec):
        container.pop("lifecycle", None)
        if resources := _resources(cluster.step(name), gpu_of(cluster, name)):
            container["resources"] = resources
        if cluster.env:
            container["env"] = [{"name": key, "value": value} for key, value in sorted(cluster.env.items())]
    declare_outputs(spec)
    return spec


def declare_outputs(spec: Document) -> None:
    """Add to each container's arguments the names of its component's output artifacts: what it is started with names more than those."""
    for name, container in containers(spec):
        declared = spec["components"][name].get("outputDefinitions", {}).get("artifacts", {})
        container["args"] += [OUTPUT_NAMES, json.dumps(sorted(declared))]


def platform(spec: Document, cluster: Cluster) -> Document:
    """The second document: what only Kubernetes knows of."""
    executors = {f"{name}_executor": _on_kubernetes(name, cluster) for name, _ in containers(spec)}
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}


def containers(spec: Document) -> Iterator[tuple[str, Document]]:
    """Step and container of each executor that is one."""
    for label, executor in spec["deploymentSpec"]["executors"].items():
        if "container" in executor:
            yield label.removesuffix("_executor"), executor["container"]


def gpu_of(cluster: Cluster, name: str) -> Gpu | None:
    """The GPUs of a step."""
    return cluster.gpu if cluster.gpu and name in cluster.gpu.steps else None


def _retry(step: Step) -> Document:
    assert step.backoff is not None
    assert step.backoff_limit is not None
    return {
        "maxRetryCount": step.retries,
        "backoffDuration": f"{step.backoff:g}s",
        "backoffFactor": 2.0,
        "backoffMaxDuration": f"{max(step.backoff, step.backoff_limit):g}s",
    }


def _resources(step: Step, gpu: Gpu | None) -> Document:
    """Each as text, and as the number that backends before 2.5 read."""
    made: Document = {}
    for told, field in ((step.cpu, "CpuRequest"), (step.cpu_limit, "CpuLimit")):
        if told:
            made |= {f"resource{field}": told, f"c{field[1:]}": _cpus(told)}
    for told, field in ((step.memory, "MemoryRequest"), (step.memory_limit, "MemoryLimit")):
        if told:
            made |= {f"resource{field}": told, f"m{field[1:]}": _bytes(told) / _GIGABYTE}
    if gpu:
        count = str(gpu.count)
        made["accelerator"] = {"type": gpu.type, "count": count, "resourceType": gpu.type, "resourceCount": count}
    return made


def _cpus(told: str) -> float:
    return float(told[:-1]) / 1000 if told.endswith("m") else float(told)


def _bytes(told: str) -> float:
    number = told.rstrip("KMGTPEi")
    return int(number) * _SUFFIXES[told.removeprefix(number)]


def _on_kubernetes(name: str, cluster: Cluster) -> Document:
    step, gpu = cluster.step(name), gpu_of(cluster, name)
    selector = (step.node_selector or {}) | (gpu.node_selector if gpu else {})
    tolerations = (*(step.tolerations or ()), *(gpu.tolerations if gpu else ()))
    made: Document = {
        "activeDeadlineSeconds": str(round(step.timeout)) if step.timeout else None,
        "imagePullPolicy": cluster.pull.policy,
        "imagePullSecret": [{"secretName": secret} | _constant("secretNameParameter", secret) for secret in cluster.pull.secrets],
        "nodeSelector": {"labels": dict(sorted(selector.items()))} if selector else None,
        "tolerations": [_toleration(each) for each in tolerations],
        "pvcMount": [
            {"constant": volume.claim, "mountPath": volume.path}
            | _constant("pvcNameParameter", volume.claim)
            | ({"subPath": volume.sub_path} if volume.sub_path else {})
            for volume in cluster.volumes
        ],
        "secretAsEnv": [
            {
                "secretName": secret.name,
                "keyToEnv": [{"secretKey": key, "envVar": variable} for key, variable in sorted(secret.env.items())],
                "optional": secret.optional,
            }
            | _constant("secretNameParameter", secret.name)
            for secret in cluster.secrets
            if secret.env
        ],
        "secretAsVolume": [
            {"secretName": secret.name, "mountPath": secret.path, "optional": secret.optional}
            | _constant("secretNameParameter", secret.name)
            for secret in cluster.secrets
            if secret.path
        ],
        "emptyDirMounts": [{"volumeName": _SHARED_MEMORY, "mountPath": "/dev/shm", "medium": "Memory", "sizeLimit": gpu.shared_memory}]
        if gpu and gpu.shared_memory
        else [],
    }
    return {key: value for key, value in made.items() if value}


def _constant(key: str, value: str) -> Document:
    """A value as backends from 2.5 on read it; older ones read the field beside it."""
    return {key: {"runtimeValue": {"constant": value}}}


def _toleration(told: Toleration) -> Document:
    made = {"key": told.key, "operator": told.operator, "value": told.value, "effect": told.effect}
    seconds = {"tolerationSeconds": str(told.seconds)} if told.seconds is not None else {}
    return {key: value for key, value in made.items() if value} | seconds
