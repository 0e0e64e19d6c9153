"""What Kubeflow's driver does: works out a step's inputs, and where its outputs go (`driver/resolve.go`, `driver/driver.go`)."""

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2 as spec_pb2

from pipeline.kubeflow.step.invocation import LOG_ARTIFACT
from tests.pipeline.kubeflow.emulation.backend import Backend
from tests.pipeline.kubeflow.emulation.compiled import Compiled, Step
from tests.pipeline.kubeflow.emulation.pod import Cluster
from tests.pipeline.kubeflow.emulation.store import local_path

Json = dict[str, Any]
TYPES = spec_pb2.ParameterType
DEFAULT_ROOT = "minio://mlpipeline/v2/artifacts"
"""Where neither the run nor the config map `kfp-launcher` names another."""

_PYTHON = {
    TYPES.STRING: str,
    TYPES.NUMBER_INTEGER: (int, float),
    TYPES.NUMBER_DOUBLE: (int, float),
    TYPES.BOOLEAN: bool,
    TYPES.LIST: list,
    TYPES.STRUCT: dict,
}
_ROOT = re.compile(r"(gs|s3|minio|mem)://[^/?]+(/[^?]*)?(\?.+)?")

_JOB_ID, _TASK_NAME = "{{$.pipeline_job_uuid}}", "{{$.pipeline_task_name}}"


@dataclass(frozen=True)
class Outputs:
    """What a finished step left: artifacts as the metadata store has them, by name, and parameters."""

    artifacts: dict[str, Json]
    parameters: dict[str, Any]


def run_parameters(inputs: spec_pb2.ComponentInputsSpec, arguments: Mapping[str, Any]) -> Json:
    """A run's parameters: those given, the defaults of the others, and null where an optional one has none.

    Raises:
        ValueError: the server would refuse the run.
    """
    if unknown := set(arguments) - set(inputs.parameters):
        raise ValueError(f"the pipeline has no parameter {', '.join(sorted(unknown))}; it has {', '.join(sorted(inputs.parameters))}")
    values = {}
    for name, spec in inputs.parameters.items():
        if name in arguments:
            values[name] = arguments[name]
        elif spec.HasField("default_value"):
            values[name] = json_format.MessageToDict(spec.default_value)
        elif spec.is_optional:
            values[name] = None
            continue
        else:
            raise ValueError(f"parameter {name} has no default, and none is given")
        _check(name, values[name], spec)
    return values


def run_root(compiled: Compiled, cluster: Cluster, *, pipeline_root: str | None, run_id: str) -> str:
    """The folder of a run in the object store, beneath the run's `pipeline_root`, or else the namespace's default.

    Raises:
        ValueError: the driver of the whole graph would end at such a root, and the run with it.
    """
    root = pipeline_root or cluster.config_maps.get("kfp-launcher", {}).get("defaultPipelineRoot") or DEFAULT_ROOT
    if not _ROOT.fullmatch(root):
        raise ValueError(f"parse bucket config failed: unrecognized pipeline root format: {root!r}")
    return f"{root.partition('?')[0].rstrip('/')}/{compiled.name}/{run_id}"


def executor_input(
    step: Step, parameters: Json, finished: Mapping[str, Outputs], *, root: str, run_id: str, pod: Path, backend: Backend
) -> Json:
    """The step's `ExecutorInput`.

    Args:
        step: the step.
        parameters: of the run.
        finished: outputs of the steps before it.
        root: folder of the run in the object store.
        run_id: of the run.
        pod: the folder that stands for the pod's file system.
        backend: whose driver it is.

    Raises:
        ValueError: the driver would fail, and the step with it.
    """
    definitions = step.component.input_definitions
    values: Json = {}
    for name, spec in step.task.inputs.parameters.items():
        match spec.WhichOneof("kind"):
            case "runtime_value":
                constant = json_format.MessageToDict(spec.runtime_value.constant)
                values[name] = {_JOB_ID: run_id, _TASK_NAME: step.name}.get(constant, constant) if isinstance(constant, str) else constant
            case "component_input_parameter":
                if spec.component_input_parameter not in parameters:
                    raise ValueError(f"parent DAG does not have input parameter {spec.component_input_parameter}")
                value = parameters[spec.component_input_parameter]
                if value is not None:
                    values[name] = value
                elif not definitions.parameters[name].is_optional:
                    raise ValueError(f"the resolved input parameter is null: {spec.component_input_parameter}")
            case "task_output_parameter":
                source = spec.task_output_parameter
                values[name] = finished[source.producer_task].parameters[source.output_parameter_key]
            case other:
                raise NotImplementedError(f"{step.name}: parameter {name} comes by {other}")
    for name, spec in definitions.parameters.items():
        if name in values:
            if spec.parameter_type == TYPES.STRING:
                values[name] = text_of(values[name])
            _check(f"{step.name}.{name}", values[name], spec)
        elif not spec.is_optional and not spec.HasField("default_value"):
            raise ValueError(f"neither value nor default value provided for non-optional parameter {step.name}.{name}")
    artifacts = {}
    for name, spec in step.task.inputs.artifacts.items():
        source = spec.task_output_artifact
        artifacts[name] = {"artifacts": [finished[source.producer_task].artifacts[source.output_artifact_key]]}
    task_root = f"{root.rstrip('/')}/{step.name}/{uuid.uuid4()}"
    declared = {
        name: {"type": json_format.MessageToDict(spec.artifact_type)}
        | ({"metadata": json_format.MessageToDict(spec.metadata)} if spec.HasField("metadata") else {})
        for name, spec in step.component.output_definitions.artifacts.items()
    }
    if backend.adds_log:
        declared[LOG_ARTIFACT] = {"type": {"schemaTitle": "system.Artifact"}}
    made = {name: {"artifacts": [{"name": name, "uri": f"{task_root}/{name}", **kind}]} for name, kind in declared.items()}
    in_task_folder = local_path(f"{task_root}/output_metadata.json", pod)
    outputs = {
        "artifacts": made,
        "parameters": {name: {"outputFile": str(pod / "tmp/kfp/outputs" / name)} for name in step.component.output_definitions.parameters},
        "outputFile": str(in_task_folder if backend.output_file_in_task_folder else pod / "tmp/kfp_outputs/output_metadata.json"),
    }
    return {"inputs": {"parameterValues": values, "artifacts": artifacts}, "outputs": outputs}


def recorded(artifact: Json, *, name: str, number: int) -> Json:
    """An output artifact as later steps get it: through ML Metadata, which forgets its type (`metadata/converter.go`).

    Raises:
        ValueError: metadata that the launcher can't write there.
    """
    scheme = artifact["uri"].partition("://")[0]
    session = json.dumps({"Provider": scheme, "Params": {"fromEnv": "true"}})
    metadata = {"display_name": name, "store_session_info": session} | artifact.get("metadata", {})
    return {
        "name": str(number),
        "uri": artifact["uri"],
        "type": {"instanceSchema": ""},
        "metadata": {key: _through_metadata(key, value) for key, value in metadata.items()},
    }


def text_of(value: Any) -> str:
    """A value as text: what an argument gets in a placeholder's stead, and a text parameter of another kind of value."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"{Decimal(repr(value)).normalize():f}"  # no exponent, no `.0`
    return json.dumps(value, separators=(",", ":"))


def _through_metadata(key: str, value: Any) -> Any:
    match value:
        case None:
            raise ValueError(f"unable to produce MLMD artifact: {key}: unknown/unsupported value type *structpb.Value_NullValue")
        case bool():
            return int(value)
        case float():
            return round(value, 6)  # ML Metadata keeps no more decimals
        case list():
            return {"list": value}
        case dict():
            return {"struct": value}
    return value


def _check(name: str, value: Any, spec: spec_pb2.ComponentInputsSpec.ParameterSpec) -> None:
    # That a whole number is one isn't looked at.
    expected = TYPES.ParameterTypeEnum.Name(spec.parameter_type)
    if spec.parameter_type not in _PYTHON:
        raise NotImplementedError(f"{name}: a parameter of type {expected}")
    if not isinstance(value, _PYTHON[spec.parameter_type]) or isinstance(value, bool) != (spec.parameter_type == TYPES.BOOLEAN):
        raise ValueError(f"input parameter {name} type mismatch: expect {expected}, got {value!r}")
