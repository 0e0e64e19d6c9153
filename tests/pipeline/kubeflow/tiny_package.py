"""A compiled pipeline of five steps, by hand: two documents as the API server takes them."""

import copy
from pathlib import Path
from typing import Any

import yaml

STEPS = ("EventExampleGen", "Trainer", "Evaluator", "Release", "SliceReport")


def parameter(kind: str, **fields: Any) -> dict[str, Any]:
    return {"parameterType": kind, **fields}


def documents(name: str = "shop", **parameters: dict[str, Any]) -> list[dict[str, Any]]:
    declared = {
        "data_root": parameter("STRING", defaultValue="/shelfrank/data", isOptional=True),
        "push_destination": parameter("STRING", defaultValue="/shelfrank", isOptional=True),
        "data_until": parameter("STRING", defaultValue="", isOptional=True),
        "training_steps": parameter("NUMBER_INTEGER", defaultValue=0, isOptional=True),
    } | parameters
    tasks: dict[str, Any] = {}
    for before, step in zip((None, *STEPS), STEPS, strict=False):
        tasks[step] = {"taskInfo": {"name": step}, "componentRef": {"name": f"comp-{step}"}}
        if before:
            tasks[step]["dependentTasks"] = [before]
    container = {"image": "shelfrank/pipeline:1", "command": ["true"]}
    spec = {
        "schemaVersion": "2.1.0",
        "sdkVersion": "tfx-1.21.0",
        "pipelineInfo": {"name": name},
        "deploymentSpec": {"executors": {f"{step}_executor": {"container": copy.deepcopy(container)} for step in STEPS}},
        "components": {f"comp-{step}": {"executorLabel": f"{step}_executor"} for step in STEPS},
        "root": {"inputDefinitions": {"parameters": declared}, "dag": {"tasks": tasks}},
    }
    selector = {"nodeSelector": {"labels": {"cloud.google.com/gke-accelerator": "nvidia-l4"}}}
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {"Trainer_executor": selector}}}}}
    return [spec, platform]


def write(file: Path, spec_documents: list[dict[str, Any]] | None = None) -> Path:
    file.write_text("---\n".join(yaml.safe_dump(each) for each in spec_documents or documents()))
    return file
