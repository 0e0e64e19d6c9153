"""Check in a compiled pipeline what a dataset file or a cluster file can cause, and the server would tell late or badly.

Both documents are parsed strictly, as the server does. The rest is what it takes and fails at in the midst of a run, or
tells without the line's cause: texts that Argo replaces, arguments too large for a process, pods that can't start.
All other rules of the server are its own to check, which tests/pipeline/kubeflow/backend does on the real one.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from google.protobuf.json_format import ParseDict, ParseError
from kfp.kubernetes.kubernetes_executor_config_pb2 import KubernetesExecutorConfig
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineDeploymentConfig, PipelineSpec, PlatformSpec

from components.contract.errors import ClusterFileError
from pipeline.kubeflow.compile.cluster import RESERVED_MOUNTS
from pipeline.kubeflow.compile.spec_patches import RUN_ID, Document, containers

# A step's parameters reach its container as JSON in one argument, which Linux limits to 128 KiB: beyond it the process
# doesn't start. The rest is for its artifacts.
_PARAMETERS_BYTES = 112 * 1024
_RESOURCE = re.compile(r"([a-z0-9.-]+/)?[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?")
# Argo substitutes these in any text; `{{$...}}` is Kubeflow's own.
_ARGO = re.compile(r"\{\{[-a-zA-Z0-9=$]")


def check(spec: Document, platform: Document) -> None:
    """Check both documents.

    Raises:
        ClusterFileError: the server would refuse them, or their runs would fail; a line for each reason.
    """
    if faults := [*_parse_faults(spec, platform)]:
        raise ClusterFileError("\n".join(faults))
    if faults := [*_task_faults(spec), *_container_faults(spec), *_platform_faults(platform)]:
        raise ClusterFileError("\n".join(faults))


def _parse_faults(spec: Document, platform: Document) -> Iterator[str]:
    """Yield unknown fields and values of another type, as the server's strict parser would."""
    yield from _parse_fault(spec, PipelineSpec(), "the pipeline")
    yield from _parse_fault(spec.get("deploymentSpec", {}), PipelineDeploymentConfig(), "deploymentSpec")
    yield from _parse_fault(platform, PlatformSpec(), "the platform document")
    for label, declared in _kubernetes_executors(platform).items():
        yield from _parse_fault(declared, KubernetesExecutorConfig(), f"platform of {label}")


def _parse_fault(document: Document, message: Any, what: str) -> Iterator[str]:
    try:
        ParseDict(document, message)
    except ParseError as error:
        yield f"{what}: expected {message.DESCRIPTOR.name}, which it can't be read as: {error}"


def _kubernetes_executors(platform: Document) -> Document:
    return dict(platform.get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {}).get("executors", {}))


def _task_faults(spec: Document) -> Iterator[str]:
    for name, task in spec["root"]["dag"]["tasks"].items():
        values = task.get("inputs", {}).get("parameters", {})
        constants = {key: value.get("runtimeValue", {}).get("constant") for key, value in values.items()}
        if (size := len(json.dumps(constants).encode())) > _PARAMETERS_BYTES:
            yield (
                f"task {name}: expected parameters of up to {_PARAMETERS_BYTES:,} bytes, which a container can be started with,"
                f" got {size:,}; shorten the dataset file, its comments first"
            )
        for key, constant in constants.items():
            if isinstance(constant, str) and constant != RUN_ID:
                yield from _replaced(f"task {name}, parameter {key}", constant)


def _replaced(where: str, text: str) -> Iterator[str]:
    if placeholder := _ARGO.search(text):
        yield f"{where}: {text[placeholder.start() : placeholder.start() + 30]!r} would be replaced by Kubeflow; write it without `{{{{`"


def _container_faults(spec: Document) -> Iterator[str]:
    for name, container in containers(spec):
        for argument in container.get("args", []):
            if not argument.startswith("{{$"):
                yield from _replaced(name, argument)
        for variable in container.get("env", []):
            yield from _replaced(f"{name}, environment variable {variable['name']}", variable["value"])
        resources = container.get("resources", {})
        for kind in ("Cpu", "Memory"):
            requested, limit = (resources.get(f"{kind.lower()}{bound}", 0.0) for bound in ("Request", "Limit"))
            if limit and requested > limit:
                declared, limit_text = (resources.get(f"resource{kind}{bound}") for bound in ("Request", "Limit"))
                yield f"{name}: expected at most the limit {limit_text} of {kind.lower()} requested, got {declared}; no such pod starts"
        accelerator = resources.get("accelerator", {}).get("resourceType")
        if accelerator is not None and not _RESOURCE.fullmatch(accelerator):
            yield f"{name}: expected an accelerator such as nvidia.com/gpu, got {accelerator!r}; see `gpu.type` in the cluster file"


def _platform_faults(platform: Document) -> Iterator[str]:
    for label, declared in _kubernetes_executors(platform).items():
        paths = [mount.get("mountPath") for key in ("pvcMount", "emptyDirMounts", "secretAsVolume") for mount in declared.get(key, [])]
        if len(set(paths)) < len(paths):
            yield f"platform of {label}: expected one volume at each path, got {', '.join(sorted(map(str, paths)))}"
        if reserved := sorted({path.rstrip("/") for path in paths if path} & {path for path in RESERVED_MOUNTS if path != "/dev/shm"}):
            yield f"platform of {label}: expected a path for a volume where Kubeflow mounts none itself, got {', '.join(reserved)}"
