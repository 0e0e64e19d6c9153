"""What came from what in a run, as one JSON document that needs no metadata store to be read.

Kubeflow Pipelines is giving up ML Metadata; a file beside the report stays readable whatever keeps the runs.
"""

import hashlib
import json
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

from tfx.dsl.components.base.base_node import BaseNode

PACKAGES = ("shelfrank", "tfx", "tensorflow", "tensorflow-recommenders", "tensorflow-transform", "tensorflow-model-analysis", "apache-beam")


def edges(steps: Iterable[BaseNode]) -> dict[str, dict[str, str]]:
    """Step to its inputs, each as `STEP.output` of the step that makes it; steps in the order given."""
    return {
        step.id: {
            name: f"{channel.producer_component_id}.{channel.output_key}"
            for name, channel in sorted(step.inputs.items())
            if channel.producer_component_id
        }
        for step in steps
    }


def lineage(
    *, dataset: str, graph: Mapping[str, Mapping[str, str]], artifacts: Mapping[str, str], data: Mapping[str, Any], run: Mapping[str, Any]
) -> str:
    """The text of `lineage.json`.

    Args:
        dataset: the dataset file's text.
        graph: as `edges` gives it.
        artifacts: `STEP.output` to the address of what it gave.
        data: where the logs lay, and the window of time that was read.
        run: what else is to be told: the champion, the release, versions of code and image.
    """
    told = {
        "dataset": {"sha256": hashlib.sha256(dataset.encode()).hexdigest(), "text": dataset},
        "data": dict(data),
        **run,
        "steps": {step: {"inputs": dict(inputs)} for step, inputs in graph.items()},
        "artifacts": dict(sorted(artifacts.items())),
        "packages": {name: version(name) for name in PACKAGES} | {"python": platform.python_version()},
    }
    return json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
