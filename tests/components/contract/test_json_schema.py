"""The JSON Schema says of a dataset file what the models say, as far as a schema can."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.contract.json_schema import json_schema

EXAMPLES = sorted((Path(__file__).resolve().parents[3] / "examples").glob("*.yaml"))
TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict, "null": type(None)}
KNOWN = {
    *("$ref", "$defs", "$schema", "title", "description", "default", "examples", "discriminator"),
    *("type", "enum", "const", "pattern", "minimum", "exclusiveMinimum", "maximum", "minLength", "maxLength", "minItems"),
    *("minProperties", "anyOf", "oneOf", "items", "properties", "required", "patternProperties", "additionalProperties"),
}


def fits(value: Any, schema: Any, root: dict[str, Any]) -> bool:
    """A validator of the part of JSON Schema that is used here; a keyword it doesn't know is an error."""
    if isinstance(schema, bool):
        return schema
    assert set(schema) <= KNOWN, set(schema) - KNOWN
    if "$ref" in schema and not fits(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root):
        return False
    kinds = schema.get("type", list(TYPES))
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if not any(isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool)) for kind in kinds):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if "const" in schema and value != schema["const"]:
        return False
    if "anyOf" in schema and not any(fits(value, part, root) for part in schema["anyOf"]):
        return False
    if "oneOf" in schema and sum(fits(value, part, root) for part in schema["oneOf"]) != 1:
        return False
    if isinstance(value, str):
        long_enough = schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
        return long_enough and re.search(schema.get("pattern", ""), value) is not None
    if isinstance(value, int | float):
        return bool(
            schema.get("minimum", value) <= value <= schema.get("maximum", value) and value > schema.get("exclusiveMinimum", value - 1)
        )
    if isinstance(value, list):
        return len(value) >= schema.get("minItems", 0) and all(fits(part, schema.get("items", True), root) for part in value)
    if isinstance(value, dict):
        below = {name: _schema_of(name, schema) for name in value}
        enough = set(schema.get("required", [])) <= set(value) and len(value) >= schema.get("minProperties", 0)
        return enough and all(fits(part, below[name], root) for name, part in value.items())
    return True


def _schema_of(name: str, schema: dict[str, Any]) -> Any:
    matching = [part for pattern, part in schema.get("patternProperties", {}).items() if re.search(pattern, name)]
    return schema.get("properties", {}).get(name) or next(iter(matching), schema.get("additionalProperties", True))


def written(path: Path) -> dict[str, Any]:
    given = yaml.safe_load(path.read_text())
    assert isinstance(given, dict)
    return given


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_fit(path: Path) -> None:
    assert fits(written(path), json_schema(), json_schema())


def test_a_list_of_sources_and_crossed_slices_fit() -> None:
    given = written(next(path for path in EXAMPLES if path.stem == "simulated_shop"))
    given |= {
        "events": [given["events"], given["events"]],
        "slices": ["device", ["device", "country"]],
        "windows": {"eval": 0.1, "test": "2026-01-31"},
    }
    assert fits(given, json_schema(), json_schema())


TUNING = {"trials": 4, "space": {"dropout": {"min": 0, "max": 0.4, "step": 0.1}, "dense": [[8], [8, 4]], "attention": ["unit", "dot"]}}


def test_a_search_fits_and_what_is_neither_choices_nor_a_range_does_not() -> None:
    given = written(EXAMPLES[0])
    assert fits(given | {"tuning": TUNING}, json_schema(), json_schema())
    for wrong in ({"dropout": 0.1}, {"dropout": [0.1]}, {"dropout": {"min": 0}}, {"dropout": {"min": 0, "max": 1, "steps": 1}}):
        assert not fits(given | {"tuning": {"space": wrong}}, json_schema(), json_schema()), wrong
    assert not fits(given | {"tuning": {"trails": 4}}, json_schema(), json_schema())


def places(part: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where mappings stand, but for those whose keys are names of the shop's own."""
    if at and at[-1] in ("actions", "floor", "drop", "slice_drop", "model") and isinstance(part, dict):
        return [place for name, below in part.items() for place in places(below, (*at, name))]
    if len(at) == 2 and at[0] == "candidates":
        return []
    own = [at] if isinstance(part, dict) else []
    below = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    return own + [place for name, value in below for place in places(value, (*at, name))]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_unknown_key_in_any_mapping_is_refused(path: Path) -> None:
    schema, given = json_schema(), written(path)
    found = places(given)
    assert len(found) > len(given["features"])
    for place in found:
        changed = copy.deepcopy(given)
        target = changed
        for step in place:
            target = target[step]
        target["unheard_of"] = 1
        assert not fits(changed, schema, schema), place


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("session_gap", "30"),
        ("session_gap", 30),
        ("seed", -1),
        ("events", []),
        ("features", []),
        ("candidates", {"from": "thin air"}),
        ("name", "A shop"),
    ],
)
def test_a_wrong_value_is_refused(key: str, value: Any) -> None:
    assert not fits(written(EXAMPLES[0]) | {key: value}, json_schema(), json_schema())


def test_every_key_has_a_description_to_show() -> None:
    schema = json_schema()
    for model, part in {"Dataset": schema, **schema["$defs"]}.items():
        assert part["description"], model
        for key, value in part["properties"].items():
            assert key == "kind" or value.get("description"), f"{model}.{key}"


def test_defaults_are_shown_as_they_are_written() -> None:
    schema = json_schema()
    assert schema["properties"]["session_gap"]["default"] == "30m"
    assert schema["properties"]["half_lives"]["default"] == ["1h", "1d", "7d"]
    assert schema["$defs"]["Windows"]["properties"]["test"]["default"] == "15%"
    assert schema["$defs"]["Sampling"]["properties"]["window"]["default"] == "30d"
    assert schema["properties"]["seed"]["default"] == 0
