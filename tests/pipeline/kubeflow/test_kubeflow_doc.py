"""docs/how-to/kubeflow-compile.md lists a pipeline's parameters; the cluster file's schema knows what its examples say."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from components.contract.errors import ClusterFileError
from pipeline.kubeflow.compile.cluster import Cluster, json_schema, parse_cluster
from pipeline.kubeflow.compile.parameters import parameters

ROOT = Path(__file__).resolve().parents[3]
DOC = (ROOT / "docs" / "how-to" / "kubeflow-compile.md").read_text(encoding="utf-8")
SCHEMA = json_schema()
MODELS = {"Cluster": SCHEMA, **SCHEMA["$defs"]}


def test_the_page_lists_each_parameter_of_a_run() -> None:
    for each in parameters(data_root="d", push_destination="p"):
        assert f"\n| `{each.name}` |" in DOC


def test_the_schema_knows_the_keys_of_the_examples_and_no_other() -> None:
    def known(part: dict[str, Any], value: Any, at: str) -> None:
        part = MODELS[part["$ref"].split("/")[-1]] if "$ref" in part else part
        for choice in part.get("anyOf", []):
            if "$ref" in choice:
                part = MODELS[choice["$ref"].split("/")[-1]]
        if isinstance(value, list):
            for entry in value:
                known(part.get("items", {}), entry, at)
        elif isinstance(value, dict) and "properties" in part:
            for key, child in value.items():
                assert key in part["properties"], f"{at}.{key}"
                known(part["properties"][key], child, f"{at}.{key}")

    for path in (ROOT / "examples" / "cluster").glob("*.yaml"):
        known(SCHEMA, yaml.safe_load(path.read_text(encoding="utf-8")), path.stem)
    assert SCHEMA["additionalProperties"] is False
    assert SCHEMA["title"] == "ShelfRank cluster file"
    assert set(SCHEMA["properties"]) == set(Cluster.model_fields)


def test_defaults_of_a_step_are_those_that_their_meanings_tell() -> None:
    step, schema = parse_cluster("{}").step("Trainer"), MODELS["Step"]["properties"]
    assert (step.retries, step.backoff, step.timeout) == (2, 60.0, 6 * 3600.0)
    defaults = {key: meaning["description"].partition("default: ")[2] for key, meaning in schema.items()}
    assert {key: default for key, default in defaults.items() if default} == {
        "retries": "2",
        "backoff": "1m",
        "timeout": "6h",
    }


def test_an_empty_file_is_told_what_one_looks_like() -> None:
    with pytest.raises(ClusterFileError, match=r"expected a mapping such as `images: \{pipeline: shelfrank/pipeline:0.1.0\}`, got None"):
        parse_cluster("")
