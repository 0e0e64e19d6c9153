"""Translate between Kubeflow and TFX, as plain JSON values: `ExecutorInput` before a step, `ExecutorOutput` after it.

TFX's container reads and writes both, and differs from open-source Kubeflow in five points:

- The driver sends input artifacts without their type (tensorflow/tfx#7768), and types of Kubeflow's own (`system.HTML`)
  are none of TFX's.
- Addresses are those of the object store, which TensorFlow and Beam can't open.
- Folders of output artifacts aren't there yet: the launcher makes only the folders that they go into.
- The launcher fails on a null in an artifact's metadata.
- The driver adds outputs that no component declares, such as `executor-logs`, a file that the launcher has open while
  the step runs.
"""

from collections.abc import Collection, Iterator
from typing import Any

import yaml

from pipeline.kubeflow.step.artifact_paths import ArtifactPaths

ABSENT = "absent"
"""An input artifact with this in its metadata is missing: its step had nothing to write."""

STEP = "--step"
"""Argument of a step's container: its name in the pipeline."""

FAULTS = "--faults"
"""Argument of a step's container: address of a folder that outlives the pod (`known_fault`); not given where there is none."""

OUTPUT_NAMES = "--json_serialized_output_names"
"""Argument of a step's container: the names of the output artifacts that its component declares, as a JSON list."""

LOG_ARTIFACT = "executor-logs"
"""The output that Kubeflow 2.5 and later add to each step, unless the server is configured not to."""

Json = dict[str, Any]
_TFX_TYPES = {"system.Metrics": "tfx.Metrics", "system.Model": "tfx.Model", "system.Dataset": "tfx.Dataset"}
_VALUE_TYPES = {"tfx.Boolean", "tfx.Bytes", "tfx.Float", "tfx.Integer", "tfx.JsonValue", "tfx.String"}


def to_executor_input(document: Json, declared: Json, paths: ArtifactPaths, *, output_names: Collection[str]) -> Json:
    """Return an executor's input as TFX expects it.

    Args:
        document: `ExecutorInput`.
        declared: the component's `ComponentInputsSpec`, with each input's type.
        paths: maps addresses to paths in the pod.
        output_names: names of the output artifacts that the component declares; any other belongs to Kubeflow and is
            left out.
    """
    types = {name: spec["artifactType"] for name, spec in declared.get("artifacts", {}).items()}
    inputs, outputs = document.get("inputs", {}), document.get("outputs", {})
    present = {
        name: [_artifact(artifact, types.get(name, {}), paths) for artifact in listed["artifacts"]]
        for name, listed in inputs.get("artifacts", {}).items()
        if listed.get("artifacts") and not any(artifact.get("metadata", {}).get(ABSENT) for artifact in listed["artifacts"])
    }
    declared_outputs = {
        name: [_artifact(artifact, {}, paths) for artifact in listed["artifacts"]]
        for name, listed in outputs.get("artifacts", {}).items()
        if name in output_names
    }
    inputs, outputs = inputs | {"artifacts": _artifact_lists(present)}, outputs | {"artifacts": _artifact_lists(declared_outputs)}
    return document | {"inputs": inputs, "outputs": outputs}


def output_folders(executor_input: Json) -> Iterator[str]:
    """Yield the folders of output artifacts, except those whose addresses stay in the store."""
    for listed in executor_input["outputs"]["artifacts"].values():
        for artifact in listed["artifacts"]:
            if artifact["uri"].startswith("/") and _title(artifact["type"]) not in _VALUE_TYPES:
                yield artifact["uri"]


def to_executor_output(document: Json, paths: ArtifactPaths) -> Json:
    """Return an executor's output as Kubeflow expects it: addresses of the store, in metadata too, and no nulls."""
    artifacts = {
        name: [
            artifact | {"uri": paths.remote(artifact["uri"]), "metadata": dict(_metadata(artifact, paths))}
            for artifact in listed["artifacts"]
        ]
        for name, listed in document.get("artifacts", {}).items()
    }
    return document | {"artifacts": _artifact_lists(artifacts)}


def _metadata(artifact: Json, paths: ArtifactPaths) -> Iterator[tuple[str, Any]]:
    for key, value in artifact.get("metadata", {}).items():
        if value is not None:
            yield key, paths.remote(value) if isinstance(value, str) else value


def _artifact(artifact: Json, declared: Json, paths: ArtifactPaths) -> Json:
    kind = artifact.get("type", {})
    title = _title(kind if any(kind.values()) else declared)
    if title.startswith("system."):
        title = _TFX_TYPES.get(title, "tfx.File")
    return artifact | {"uri": paths.local(artifact["uri"]), "type": {"schemaTitle": title}}


def _title(schema: Json) -> str:
    title: str = schema["schemaTitle"] if "schemaTitle" in schema else yaml.safe_load(schema["instanceSchema"])["title"]
    return title


def _artifact_lists(artifacts: dict[str, list[Json]]) -> Json:
    return {name: {"artifacts": listed} for name, listed in artifacts.items()}
