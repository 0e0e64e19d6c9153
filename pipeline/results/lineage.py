"""Write a run's lineage as one JSON document, which can be read without a metadata store.

Kubeflow Pipelines is dropping ML Metadata; a file beside the report stays readable whatever stores the runs.
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
    """Return each step's inputs, as `STEP.output` of the step that produces them, in the order of `steps`."""
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
    """Return the text of `lineage.json`.

    Args:
        dataset: the dataset file's text.
        graph: as `edges` returns it.
        artifacts: `STEP.output` to the artifact's address.
        data: the logs' root, the time window that was read, and counts.
        run: further entries: the champion, the release, versions of code and image.
    """
    document = {
        "dataset": {"sha256": hashlib.sha256(dataset.encode()).hexdigest(), "text": dataset},
        "data": dict(data),
        **run,
        "steps": {step: {"inputs": dict(inputs)} for step, inputs in graph.items()},
        "artifacts": dict(sorted(artifacts.items())),
        "packages": {name: version(name) for name in PACKAGES} | {"python": platform.python_version()},
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
