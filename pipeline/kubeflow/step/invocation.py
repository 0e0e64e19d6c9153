"""What passes between Kubeflow and a step, as plain JSON values: `ExecutorInput` on the way in, `ExecutorOutput` on the way out.

TFX's container reads and writes both, and at five points otherwise than open-source Kubeflow does:

- The driver sends input artifacts without their type (tensorflow/tfx#7768), and types of Kubeflow's own (`system.HTML`) are none of TFX's.
- Addresses are those of the object store, which TensorFlow and Beam can't open.
- Folders of output artifacts aren't there yet: the launcher makes only the folders that they go into.
- The launcher fails on a null in an artifact's metadata.
- The driver adds outputs that no component declares, such as `executor-logs`, a file that the launcher has open while the step runs.
"""

from collections.abc import Collection, Iterator
from typing import Any

import yaml

from pipeline.kubeflow.step.artifact_paths import Places

ABSENT = "absent"
"""An input artifact with this in its metadata isn't there: the step that should have made it found nothing to make it of."""

OUTPUT_NAMES = "--json_serialized_output_names"
"""Argument of a step's container: the names of the output artifacts that its component declares, as a JSON list."""

LOG_ARTIFACT = "executor-logs"
"""The output that Kubeflow 2.5 and later add to each step, unless the server is told not to."""

Json = dict[str, Any]
_OF_TFX = {"system.Metrics": "tfx.Metrics", "system.Model": "tfx.Model", "system.Dataset": "tfx.Dataset"}
_IN_ONE_FILE = {"tfx.Boolean", "tfx.Bytes", "tfx.Float", "tfx.Integer", "tfx.JsonValue", "tfx.String"}


def received(given: Json, declared: Json, places: Places, *, output_names: Collection[str]) -> Json:
    """An executor's input as TFX takes it.

    Args:
        given: `ExecutorInput`.
        declared: the component's `ComponentInputsSpec`, with each input's type.
        places: where artifacts lie.
        output_names: names of the output artifacts that the component declares; any other belongs to Kubeflow and is left out.
    """
    types = {name: spec["artifactType"] for name, spec in declared.get("artifacts", {}).items()}
    inputs, outputs = given.get("inputs", {}), given.get("outputs", {})
    there = {
        name: [_artifact(artifact, types.get(name, {}), places) for artifact in listed["artifacts"]]
        for name, listed in inputs.get("artifacts", {}).items()
        if listed.get("artifacts") and not any(artifact.get("metadata", {}).get(ABSENT) for artifact in listed["artifacts"])
    }
    made = {
        name: [_artifact(artifact, {}, places) for artifact in listed["artifacts"]]
        for name, listed in outputs.get("artifacts", {}).items()
        if name in output_names
    }
    return given | {"inputs": inputs | {"artifacts": _lists(there)}, "outputs": outputs | {"artifacts": _lists(made)}}


def folders(taken: Json) -> Iterator[str]:
    """The folders that output artifacts are, of an input that `received` gave; addresses that stay in the store are none."""
    for listed in taken["outputs"]["artifacts"].values():
        for artifact in listed["artifacts"]:
            if artifact["uri"].startswith("/") and _title(artifact["type"]) not in _IN_ONE_FILE:
                yield artifact["uri"]


def returned(made: Json, places: Places) -> Json:
    """An executor's output as Kubeflow takes it: addresses of the store, in metadata too, and no nulls."""
    there = {
        name: [
            artifact | {"uri": places.remote(artifact["uri"]), "metadata": dict(_metadata(artifact, places))}
            for artifact in listed["artifacts"]
        ]
        for name, listed in made.get("artifacts", {}).items()
    }
    return made | {"artifacts": _lists(there)}


def _metadata(artifact: Json, places: Places) -> Iterator[tuple[str, Any]]:
    for key, value in artifact.get("metadata", {}).items():
        if value is not None:
            yield key, places.remote(value) if isinstance(value, str) else value


def _artifact(artifact: Json, declared: Json, places: Places) -> Json:
    kind = artifact.get("type", {})
    title = _title(kind if any(kind.values()) else declared)
    if title.startswith("system."):
        title = _OF_TFX.get(title, "tfx.File")
    return artifact | {"uri": places.local(artifact["uri"]), "type": {"schemaTitle": title}}


def _title(schema: Json) -> str:
    title: str = schema["schemaTitle"] if "schemaTitle" in schema else yaml.safe_load(schema["instanceSchema"])["title"]
    return title


def _lists(artifacts: dict[str, list[Json]]) -> Json:
    return {name: {"artifacts": listed} for name, listed in artifacts.items()}
