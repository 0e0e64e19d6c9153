"""Add what TFX's compiler leaves out of a pipeline for Kubeflow; plain dictionaries in and out.

TFX 1.21 (`KubeflowV2DagRunner` with `use_pipeline_spec_2_1`) writes a PipelineSpec without the parameters' defaults,
resources, retries and the Kubernetes settings, which belong to a second document.
"""

import copy
import json
from collections.abc import Collection, Iterator
from typing import Any

from pipeline.kubeflow.compile.cluster import Cluster, Gpu, Step, Toleration
from pipeline.kubeflow.compile.parameters import Parameter
from pipeline.kubeflow.step.invocation import FAULTS, OUTPUT_NAMES, STEP

Document = dict[str, Any]

# Their results depend on more than their inputs and parameters: on files, and on the releases in the store.
UNCACHED = ("DataFingerprint", "Champion", "Release")
# Types of artifacts that Kubeflow displays beside a step: numbers, and a page.
_DISPLAYED_TYPES = {
    ("SliceReport", "metrics"): "system.Metrics",
    ("SliceReport", "page"): "system.HTML",
    ("DriftCheck", "page"): "system.HTML",
}
RUN_ID = "{{$.pipeline_job_uuid}}"
"""Kubeflow's driver replaces it by the run's id in a parameter that consists of it."""

_TFX_ARGUMENTS = 6  # --executor_class_path, --json_serialized_invocation_args, --json_serialized_inputs_spec_args, each with its value
_OUTCOME_STEP = "Release"
_PENDING_S = 86_400.0  # an attempt may wait so long for a node
_SHARED_MEMORY = "shared-memory"
_GIGABYTE = 1e9  # the unit of the numeric fields of older backends
_SUFFIXES = {f"{unit}{i}": base**power for power, unit in enumerate("KMGTPE", 1) for i, base in (("", 1000.0), ("i", 1024.0))} | {"": 1.0}


def patch_spec(spec: Document, cluster: Cluster, parameters: tuple[Parameter, ...], *, beam_steps: Collection[str]) -> Document:
    """Return the pipeline's document with all that the API server needs.

    Args:
        spec: as TFX compiled it.
        cluster: settings of its steps.
        parameters: its runtime parameters.
        beam_steps: the steps that run on Beam.
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
        for parameter_input in task.get("inputs", {}).get("parameters", {}).values():
            if producer := parameter_input.get("taskOutputParameter"):
                # TFX names the producer as no task is named.
                producer["producerTask"] = producer["producerTask"].removesuffix("_task")
        if name == _OUTCOME_STEP:
            task["inputs"]["parameters"]["run_id"] = {"runtimeValue": {"constant": RUN_ID}}
    for (name, output), title in _DISPLAYED_TYPES.items():
        artifacts = spec["components"].get(name, {}).get("outputDefinitions", {}).get("artifacts", {})
        if output in artifacts:
            artifacts[output]["artifactType"] = {"schemaTitle": title, "schemaVersion": "0.0.1"}
    for name, container in containers(spec):
        container.pop("lifecycle", None)
        if resources := _resources(cluster.step(name), gpu_of(cluster, name)):
            container["resources"] = resources
        if cluster.env:
            container["env"] = [{"name": key, "value": value} for key, value in sorted(cluster.env.items())]
    complete_arguments(spec, beam_steps, faults=cluster.fault_folder)
    return spec


def complete_arguments(spec: Document, beam_steps: Collection[str], *, faults: str | None = None) -> None:
    """Add to each container's arguments the step's name and those of its declared outputs, to which the driver adds others.

    TFX passes Beam's options to every step. Here only those on Beam get them: any other is spared the import of Beam.

    Args:
        spec: as TFX compiled it.
        beam_steps: the steps that run on Beam.
        faults: folder that keeps faults of their input from one attempt to the next; None: there is none.
    """
    for name, container in containers(spec):
        declared = spec["components"][name].get("outputDefinitions", {}).get("artifacts", {})
        if name not in beam_steps:
            container["args"] = container["args"][:_TFX_ARGUMENTS]
        container["args"] += [STEP, name, OUTPUT_NAMES, json.dumps(sorted(declared)), *((FAULTS, faults) if faults else ())]


def platform_spec(spec: Document, cluster: Cluster) -> Document:
    """Return the second document: the Kubernetes settings of each executor."""
    executors = {f"{name}_executor": _kubernetes_executor(name, cluster) for name, _ in containers(spec)}
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}


def containers(spec: Document) -> Iterator[tuple[str, Document]]:
    """Yield the step's name and the container of each executor that has one."""
    for label, executor in spec["deploymentSpec"]["executors"].items():
        if "container" in executor:
            yield label.removesuffix("_executor"), executor["container"]


def gpu_of(cluster: Cluster, name: str) -> Gpu | None:
    """Return the GPUs of a step."""
    return cluster.gpu if cluster.gpu and name in cluster.gpu.steps else None


def _retry(step: Step) -> Document:
    """Return a retry policy.

    Argo counts `backoffMaxDuration` from the start of the first attempt, whatever its name says: later no attempt begins,
    and one that runs is ended. Left out, it is zero. So it is longer than all attempts together may take.
    """
    assert step.retries is not None
    assert step.backoff is not None
    assert step.timeout is not None
    pauses_s = step.backoff * (2**step.retries - 1)
    attempts_s = (step.retries + 1) * (step.timeout + _PENDING_S)
    return {
        "maxRetryCount": step.retries,
        "backoffDuration": f"{step.backoff:g}s",
        "backoffFactor": 2.0,
        "backoffMaxDuration": f"{pauses_s + attempts_s:.0f}s",
    }


def _resources(step: Step, gpu: Gpu | None) -> Document:
    """Return the resources, each as text and as the number that backends before 2.5 read."""
    fields: Document = {}
    for amount, field in ((step.cpu, "CpuRequest"), (step.cpu_limit, "CpuLimit")):
        if amount:
            fields |= {f"resource{field}": amount, f"c{field[1:]}": _cpus(amount)}
    for amount, field in ((step.memory, "MemoryRequest"), (step.memory_limit, "MemoryLimit")):
        if amount:
            fields |= {f"resource{field}": amount, f"m{field[1:]}": _bytes(amount) / _GIGABYTE}
    if gpu:
        count = str(gpu.count)
        fields["accelerator"] = {"type": gpu.type, "count": count, "resourceType": gpu.type, "resourceCount": count}
    return fields


def _cpus(amount: str) -> float:
    return float(amount[:-1]) / 1000 if amount.endswith("m") else float(amount)


def _bytes(amount: str) -> float:
    number = amount.rstrip("KMGTPEi")
    return int(number) * _SUFFIXES[amount.removeprefix(number)]


def _kubernetes_executor(name: str, cluster: Cluster) -> Document:
    step, gpu = cluster.step(name), gpu_of(cluster, name)
    selector = (step.node_selector or {}) | (gpu.node_selector if gpu else {})
    tolerations = (*(step.tolerations or ()), *(gpu.tolerations if gpu else ()))
    fields: Document = {
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
    return {key: value for key, value in fields.items() if value}


def _constant(key: str, value: str) -> Document:
    """Return a value as backends from 2.5 on read it; older ones read the plain field."""
    return {key: {"runtimeValue": {"constant": value}}}


def _toleration(toleration: Toleration) -> Document:
    fields = {"key": toleration.key, "operator": toleration.operator, "value": toleration.value, "effect": toleration.effect}
    seconds = {"tolerationSeconds": str(toleration.seconds)} if toleration.seconds is not None else {}
    return {key: value for key, value in fields.items() if value} | seconds
