"""Generate the dataset file's JSON Schema, for editors."""

from typing import Any

from components.contract.base_model import BOUNDARY_SCHEMA, DURATION_SCHEMA, SHARE_SCHEMA, duration_name
from components.contract.dataset import Dataset

_SHARES = (BOUNDARY_SCHEMA["examples"], SHARE_SCHEMA["examples"])


def json_schema() -> dict[str, Any]:
    """Generate the schema of a dataset file as users write it, with its shorthands: a single source, plain slices."""
    schema = Dataset.model_json_schema(by_alias=True)
    properties = schema["properties"]
    properties["events"] = _or(properties["events"], properties["events"]["items"])
    properties["actions"]["additionalProperties"] = False
    names = properties["slices"]["items"]
    properties["slices"]["items"] = _or(names, names["items"])
    return finished(schema, title="ShelfRank dataset file")


def finished(schema: dict[str, Any], *, title: str) -> dict[str, Any]:
    """Complete a pydantic model's schema for editors, with defaults as users write them."""
    _write_defaults(schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": title}


def _or(schema: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Allow either schema, and keep the description."""
    return {"description": schema.get("description", ""), "anyOf": [schema, other]}


def _write_defaults(schema: Any) -> None:
    """Format default durations and shares as users write them: 1800.0 as "30m"."""
    if isinstance(schema, list):
        for part in schema:
            _write_defaults(part)
    elif isinstance(schema, dict):
        kinds = [schema, *schema.get("anyOf", []), schema.get("items", {})]
        default = schema.get("default")
        if any(kind.get("pattern") == DURATION_SCHEMA["pattern"] for kind in kinds) and default:
            schema["default"] = (
                [duration_name(length_s) for length_s in default] if isinstance(default, list | tuple) else duration_name(default)
            )
        elif isinstance(default, float) and any(kind.get("examples") in _SHARES for kind in kinds):
            schema["default"] = f"{default:.0%}"
        for part in schema.values():
            _write_defaults(part)
