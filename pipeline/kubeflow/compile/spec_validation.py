"""Check a compiled pipeline by the rules of the API server and of its compiler to Argo, before anything is uploaded.

From Kubeflow Pipelines 2.x: `apiserver/template/v2_template.go`, `v2/compiler/visitor.go`, `argocompiler/dag.go`,
`v2/driver`; and Argo's `validation_utils.go` for names of tasks. Whether protobuf can parse the documents strictly is
checked first.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml
from google.protobuf.json_format import ParseDict, ParseError
from kfp.kubernetes.kubernetes_executor_config_pb2 import KubernetesExecutorConfig
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineDeploymentConfig, PipelineSpec, PlatformSpec

from components.contract.errors import ClusterFileError
from pipeline.kubeflow.compile.cluster import CPU, MEMORY, RESERVED_MOUNTS
from pipeline.kubeflow.compile.image_ref import image_fault
from pipeline.kubeflow.compile.package import SCHEMA_VERSION
from pipeline.kubeflow.compile.spec_patches import RUN_ID, Document
from pipeline.kubeflow.step.invocation import LOG_ARTIFACT

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME_LENGTH = 128  # Vertex AI's limit, below Kubernetes' for names of objects; a dataset's name is shorter
_TASK = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]*")
_TASK_LENGTH = 128 - len("-driver")
# A step's parameters reach its container as JSON in one argument, which Linux limits to 128 KiB: beyond it the process
# doesn't start. The rest is for its artifacts.
_PARAMETERS_BYTES = 112 * 1024
_ROOT = re.compile(r"(minio|s3|gs)://[^/\s]+(/\S*)?")
_TITLE = re.compile(r"[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)+")
_TYPES = {"STRING": str, "NUMBER_INTEGER": int, "NUMBER_DOUBLE": float, "BOOLEAN": bool, "LIST": list, "STRUCT": dict}
# Argo substitutes these in any text; `{{$...}}` is Kubeflow's own.
_ARGO = re.compile(r"\{\{[-a-zA-Z0-9=$]")


def check(spec: Document, platform: Document) -> None:
    """Check both documents.

    Raises:
        ClusterFileError: the server would refuse them, or their runs would fail at once; a line for each reason.
    """
    if faults := [*_parse_faults(spec, platform)]:
        raise ClusterFileError("\n".join(faults))
    checks = (_pipeline_faults, _parameter_faults, _task_faults, _component_faults, _executor_faults)
    if faults := [*(fault for find in checks for fault in find(spec)), *_platform_faults(spec, platform)]:
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


def _pipeline_faults(spec: Document) -> Iterator[str]:
    if (version := spec.get("schemaVersion")) != SCHEMA_VERSION:
        yield f"schemaVersion: expected {SCHEMA_VERSION}, got {version!r}; the server reads no other"
    name = spec.get("pipelineInfo", {}).get("name", "")
    if not _NAME.fullmatch(name) or len(name) > _NAME_LENGTH:
        yield (
            f"pipelineInfo.name: expected up to {_NAME_LENGTH} small letters, digits, hyphens and dots, a letter or digit first and last,"
            f" got {name!r}; change the dataset's name"
        )
    root = spec.get("defaultPipelineRoot")
    if root is not None and not _ROOT.fullmatch(root):
        yield f"defaultPipelineRoot: expected minio://, s3:// or gs:// with a bucket, got {root!r}"
    if not spec.get("root", {}).get("dag", {}).get("tasks"):
        yield "root: expected a graph with tasks, got none"


def _parameter_faults(spec: Document) -> Iterator[str]:
    for name, declared in spec.get("root", {}).get("inputDefinitions", {}).get("parameters", {}).items():
        kind = _TYPES.get(declared.get("parameterType", ""))
        if kind is None:
            yield f"parameter {name}: expected a type, got {declared.get('parameterType')!r}"
        elif "defaultValue" not in declared:
            yield f"parameter {name}: expected a default, got none; a run that doesn't name it, and each of a schedule, would be refused"
        elif not isinstance(declared["defaultValue"], kind) or (kind is not bool and isinstance(declared["defaultValue"], bool)):
            yield f"parameter {name}: expected a default of type {declared['parameterType']}, got {declared['defaultValue']!r}"


def _task_faults(spec: Document) -> Iterator[str]:
    tasks = spec.get("root", {}).get("dag", {}).get("tasks", {})
    parameters = spec.get("root", {}).get("inputDefinitions", {}).get("parameters", {})
    components = spec.get("components", {})
    for name, task in tasks.items():
        if not _TASK.fullmatch(name) or len(name) > _TASK_LENGTH:
            yield f"task {name}: expected up to {_TASK_LENGTH} letters, digits and hyphens as its name, got {name!r}; rename the step"
        if (component := task.get("componentRef", {}).get("name")) not in components:
            yield f"task {name}: expected a component of the pipeline, got {component!r}"
        for other in task.get("dependentTasks", []):
            if other not in tasks:
                yield f"task {name}: expected a task that it comes after, got {other!r}, which there isn't"
        task_parameters = task.get("inputs", {}).get("parameters", {})
        constants = {key: value.get("runtimeValue", {}).get("constant") for key, value in task_parameters.items()}
        if (size := len(json.dumps(constants).encode())) > _PARAMETERS_BYTES:
            yield (
                f"task {name}: expected parameters of up to {_PARAMETERS_BYTES:,} bytes, which a container can be started with,"
                f" got {size:,}; shorten the dataset file, its comments first"
            )
        for key, source in task_parameters.items():
            yield from _parameter_input_faults(f"task {name}, parameter {key}", source, tasks, parameters)
        for key, source in task.get("inputs", {}).get("artifacts", {}).items():
            produced = source.get("taskOutputArtifact", {})
            producer = components.get(tasks.get(produced.get("producerTask"), {}).get("componentRef", {}).get("name"), {})
            if produced.get("outputArtifactKey") not in producer.get("outputDefinitions", {}).get("artifacts", {}):
                yield (
                    f"task {name}, artifact {key}: expected an output of a task, got"
                    f" {produced.get('outputArtifactKey')!r} of {produced.get('producerTask')!r}, which there isn't"
                )
            elif produced["producerTask"] not in task.get("dependentTasks", []):
                yield f"task {name}, artifact {key}: expected it to come after {produced['producerTask']!r}, which makes it"


def _parameter_input_faults(where: str, source: Document, tasks: Document, parameters: Document) -> Iterator[str]:
    if "componentInputParameter" in source and source["componentInputParameter"] not in parameters:
        yield f"{where}: expected a parameter of the pipeline, got {source['componentInputParameter']!r}"
    if (producer := source.get("taskOutputParameter", {}).get("producerTask")) and producer not in tasks:
        yield f"{where}: expected a value that a task gives, got one of {producer!r}, which there isn't"
    constant = source.get("runtimeValue", {}).get("constant")
    if isinstance(constant, str) and constant != RUN_ID and (faults := _ARGO.search(constant)):
        yield f"{where}: {constant[faults.start() : faults.start() + 30]!r} would be replaced by Kubeflow; write it without `{{{{`"


def _component_faults(spec: Document) -> Iterator[str]:
    executors = spec.get("deploymentSpec", {}).get("executors", {})
    for name, component in spec.get("components", {}).items():
        if name == "root":
            yield "component root: this name is the server's own; rename the step"
        if "executorLabel" in component and component["executorLabel"] not in executors:
            yield f"component {name}: expected an executor, got {component['executorLabel']!r}, which there isn't"
        if LOG_ARTIFACT in component.get("outputDefinitions", {}).get("artifacts", {}):
            yield f"component {name}, artifact {LOG_ARTIFACT}: the driver puts its own in its stead; rename the output"
        for side in ("inputDefinitions", "outputDefinitions"):
            for key, artifact in component.get(side, {}).get("artifacts", {}).items():
                yield from _artifact_type_faults(f"component {name}, artifact {key}", artifact)


def _artifact_type_faults(where: str, artifact: Document) -> Iterator[str]:
    declared = artifact.get("artifactType", {})
    schema = declared.get("instanceSchema")
    title = declared.get("schemaTitle") if schema is None else (yaml.safe_load(schema) or {}).get("title")
    if not isinstance(title, str) or not _TITLE.fullmatch(title):
        yield f"{where}: expected a type such as tfx.Model or system.Metrics, got {title!r}"
    for key, value in artifact.get("metadata", {}).items():
        if value is None:
            yield f"{where}: expected a value of {key!r} in its metadata, got null, at which the launcher stops; leave it out"


def _executor_faults(spec: Document) -> Iterator[str]:
    for label, executor in spec.get("deploymentSpec", {}).get("executors", {}).items():
        if not {"container", "importer"} & set(executor):
            yield f"{label}: expected a container or an importer, got {', '.join(executor) or 'nothing'}; the server runs no other"
        container = executor.get("container")
        if container is None:
            continue
        if fault := image_fault(container.get("image", "")):
            yield f"{label}: {fault}"
        if not container.get("command"):
            yield f"{label}: expected a command, got none; the launcher needs one, whatever the image's entry point is"
        if "lifecycle" in container:
            yield f"{label}: `lifecycle` is never run by the server; base the step on a component without a driver"
        for argument in (*container.get("command", []), *container.get("args", [])):
            if (faults := _ARGO.search(argument)) and not argument.startswith("{{$"):
                yield f"{label}: {argument[faults.start() : faults.start() + 30]!r} would be replaced by Kubeflow; write it without `{{{{`"
        yield from _resource_faults(label, container.get("resources", {}))


def _resource_faults(label: str, resources: Document) -> Iterator[str]:
    for kind, pattern, example in (("Cpu", CPU, "2 or 500m"), ("Memory", MEMORY, "8Gi or 500Mi")):
        for bound in ("Request", "Limit"):
            declared = resources.get(f"resource{kind}{bound}")
            if declared is not None and not re.fullmatch(pattern, declared):
                yield f"{label}: expected resource{kind}{bound} such as {example}, got {declared!r}"
        requested, limit = (resources.get(f"{kind.lower()}{bound}", 0.0) for bound in ("Request", "Limit"))
        if limit and requested > limit:
            declared, limit_text = (resources.get(f"resource{kind}{bound}") for bound in ("Request", "Limit"))
            yield f"{label}: expected at most the limit {limit_text} of {kind.lower()} to be asked for, got {declared}; no such pod starts"
    if accelerator := resources.get("accelerator"):
        count = accelerator.get("resourceCount", "")
        if not count.isdecimal() or not int(count):
            yield f"{label}: expected a number of accelerators from 1 on, got {count!r}"
        if not re.fullmatch(r"([a-z0-9.-]+/)?[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?", accelerator.get("resourceType", "")):
            yield f"{label}: expected an accelerator such as nvidia.com/gpu, got {accelerator.get('resourceType')!r}"


def _platform_faults(spec: Document, platform: Document) -> Iterator[str]:
    if set(platform.get("platforms", {})) != {"kubernetes"}:
        yield f"platforms: expected kubernetes alone, got {', '.join(platform.get('platforms', {})) or 'none'}"
    executors = spec.get("deploymentSpec", {}).get("executors", {})
    for label, declared in _kubernetes_executors(platform).items():
        if label not in executors:
            yield f"platform of {label}: there is no such executor, so nobody would read it"
        paths = [mount.get("mountPath") for key in ("pvcMount", "emptyDirMounts", "secretAsVolume") for mount in declared.get(key, [])]
        if len(set(paths)) < len(paths):
            yield f"platform of {label}: expected one volume at each path, got {', '.join(sorted(map(str, paths)))}"
        if reserved := sorted({path.rstrip("/") for path in paths if path} & {path for path in RESERVED_MOUNTS if path != "/dev/shm"}):
            yield f"platform of {label}: expected a path for a volume where Kubeflow mounts none itself, got {', '.join(reserved)}"
