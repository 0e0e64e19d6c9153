"""What Kubeflow's driver does: works out a step's inputs, and where its outputs go (`driver/resolve.go`, `driver/driver.go`)."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2 as spec_pb2

from tests.pipeline.kubeflow.emulation.compiled import Step
from tests.pipeline.kubeflow.emulation.store import local_path

Json = dict[str, Any]
TYPES = spec_pb2.ParameterType
_PYTHON = {TYPES.STRING: str, TYPES.NUMBER_INTEGER: (int, float), TYPES.NUMBER_DOUBLE: (int, float), TYPES.BOOLEAN: bool}


@dataclass(frozen=True)
class Outputs:
    """What a finished step left: artifacts as the metadata store has them, by name, and parameters."""

    artifacts: dict[str, Json]
    parameters: dict[str, Any]


def run_parameters(inputs: spec_pb2.ComponentInputsSpec, given: Mapping[str, Any]) -> Json:
    """A run's parameters: those given and the defaults of the others.

    Raises:
        ValueError: the server would refuse the run.
    """
    if unknown := set(given) - set(inputs.parameters):
        raise ValueError(f"the pipeline has no parameter {', '.join(sorted(unknown))}; it has {', '.join(sorted(inputs.parameters))}")
    found = {}
    for name, spec in inputs.parameters.items():
        if name in given:
            found[name] = given[name]
        elif spec.HasField("default_value"):
            found[name] = json_format.MessageToDict(spec.default_value)
        elif spec.is_optional:
            continue
        else:
            raise ValueError(f"parameter {name} has no default, and none is given")
        _check(name, found[name], spec)
    return found


def executor_input(step: Step, parameters: Json, finished: Mapping[str, Outputs], *, root: str, pod: Path) -> Json:
    """The step's `ExecutorInput`.

    Args:
        step: the step.
        parameters: of the run.
        finished: outputs of the steps before it.
        root: folder of the run in the object store.
        pod: the folder that stands for the pod's file system.
    """
    definitions = step.component.input_definitions
    values: Json = {}
    for name, spec in step.task.inputs.parameters.items():
        match spec.WhichOneof("kind"):
            case "runtime_value":
                values[name] = json_format.MessageToDict(spec.runtime_value.constant)
            case "component_input_parameter":
                if spec.component_input_parameter in parameters:
                    values[name] = parameters[spec.component_input_parameter]
            case "task_output_parameter":
                source = spec.task_output_parameter
                values[name] = finished[source.producer_task].parameters[source.output_parameter_key]
            case other:
                raise NotImplementedError(f"{step.name}: parameter {name} comes by {other}")
    for name, spec in definitions.parameters.items():
        if name in values:
            _check(f"{step.name}.{name}", values[name], spec)
        elif not spec.is_optional and not spec.HasField("default_value"):
            raise ValueError(f"neither value nor default value provided for non-optional parameter {step.name}.{name}")
    artifacts = {}
    for name, spec in step.task.inputs.artifacts.items():
        source = spec.task_output_artifact
        artifacts[name] = {"artifacts": [finished[source.producer_task].artifacts[source.output_artifact_key]]}
    task_root = f"{root.rstrip('/')}/{step.name}/{uuid.uuid4()}"
    made = {
        name: {
            "artifacts": [
                {
                    "name": name,
                    "uri": f"{task_root}/{name}",
                    "type": json_format.MessageToDict(spec.artifact_type),
                    "metadata": json_format.MessageToDict(spec.metadata),
                }
            ]
        }
        for name, spec in step.component.output_definitions.artifacts.items()
    }
    outputs = {
        "artifacts": made,
        "parameters": {name: {"outputFile": str(pod / "tmp" / "outputs" / name)} for name in step.component.output_definitions.parameters},
        "outputFile": str(local_path(f"{task_root}/output_metadata.json", pod)),
    }
    return {"inputs": {"parameterValues": values, "artifacts": artifacts}, "outputs": outputs}


def recorded(artifact: Json, *, name: str, number: int) -> Json:
    """An output artifact as later steps get it: through ML Metadata, which forgets its type (`metadata/converter.go`).

    Raises:
        ValueError: metadata that the launcher can't write there.
    """
    metadata = {"display_name": name, "store_session_info": "{}"} | artifact.get("metadata", {})
    return {
        "name": str(number),
        "uri": artifact["uri"],
        "type": {"instanceSchema": ""},
        "metadata": {key: _through_metadata(key, value) for key, value in metadata.items()},
    }


def _through_metadata(key: str, value: Any) -> Any:
    match value:
        case None:
            raise ValueError(f"unable to produce MLMD artifact: {key}: unknown/unsupported value type *structpb.Value_NullValue")
        case bool():
            return int(value)
        case list():
            return {"list": value}
        case dict():
            return {"struct": value}
    return value


def _check(name: str, value: Any, spec: spec_pb2.ComponentInputsSpec.ParameterSpec) -> None:
    expected = TYPES.ParameterTypeEnum.Name(spec.parameter_type)
    if spec.parameter_type not in _PYTHON:
        raise NotImplementedError(f"{name}: a parameter of type {expected}")
    fits = isinstance(value, _PYTHON[spec.parameter_type]) and (isinstance(value, bool) == (spec.parameter_type == TYPES.BOOLEAN))
    if not fits or (spec.parameter_type == TYPES.NUMBER_INTEGER and value != int(value)):
        raise ValueError(f"input parameter {name} type mismatch: expect {expected}, got {value!r}")
