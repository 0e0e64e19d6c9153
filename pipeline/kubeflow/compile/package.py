"""Read a compiled pipeline, as `shelfrank compile` writes it and the API server reads it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import json_format
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineSpec, PlatformSpec

from components.contract.errors import InputError

SCHEMA_VERSION = "2.1.0"
_COMPILE = "compile one with `shelfrank compile DATASET.yaml ... -o pipeline.yaml`"
_KINDS = {
    "STRING": "text",
    "NUMBER_INTEGER": "a whole number",
    "NUMBER_DOUBLE": "a number",
    "BOOLEAN": "true or false",
    "LIST": "a JSON list",
    "STRUCT": "a JSON object",
}


@dataclass(frozen=True)
class Package:
    """A compiled pipeline.

    Attributes:
        file: that it was read from.
        name: of the pipeline.
        digest: of its content, 12 hexadecimal digits; the layout of the text doesn't count.
        steps: names of its tasks, in topological order.
        kinds: type of each runtime parameter, `STRING` and so on.
        required: parameters that have no default.
        pipeline_root: folder of its runs' artifacts; None: as the namespace is configured. The file has it as
            `defaultPipelineRoot`, which neither the API server nor the driver reads: each run must set it.
        defaults: of the parameters that have one.
    """

    file: Path
    name: str
    digest: str
    steps: tuple[str, ...]
    kinds: Mapping[str, str]
    required: frozenset[str]
    pipeline_root: str | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """Name of the version with this content."""
        return f"{self.name}-{self.digest}"

    def parameters(self, assignments: Sequence[str]) -> dict[str, Any]:
        """Parse the values to start a run with, each from `NAME=VALUE`.

        Raises:
            InputError: there is no such parameter, its value is of another type, or a required one is missing.
        """
        values: dict[str, Any] = {}
        for each in assignments:
            name, equals, text = each.partition("=")
            if not equals:
                raise InputError(f"--parameter {each}: expected NAME=VALUE")
            if name not in self.kinds:
                raise InputError(f"--parameter {each}: {self.file} has no parameter {name!r}; {self._nearest(name)}")
            values[name] = _value(each, text, self.kinds[name])
        missing = sorted(self.required - values.keys())
        if missing:
            raise InputError(f"{self.file}: parameter {missing[0]} has no default; give --parameter {missing[0]}=VALUE")
        return values

    def _nearest(self, name: str) -> str:
        close = get_close_matches(name, self.kinds, n=1)
        return f"did you mean {close[0]}?" if close else f"it has {', '.join(sorted(self.kinds)) or 'none'}"


def read_package(file: Path) -> Package:
    """Read a compiled pipeline as strictly as the API server does.

    Raises:
        InputError: it isn't one.
    """
    if file.suffix not in (".yaml", ".yml"):
        raise InputError(f"{file}: expected a compiled pipeline, a .yaml file; {_COMPILE}")
    try:
        documents = [each for each in yaml.safe_load_all(file.read_text(encoding="utf-8")) if each is not None]
    except OSError as error:
        raise InputError(f"{file}: can't be read ({error.strerror or error}); {_COMPILE}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: expected a compiled pipeline, got what isn't YAML ({_first_line(error)}); {_COMPILE}") from None
    if not documents or not isinstance(documents[0], dict) or "pipelineInfo" not in documents[0]:
        what = "a dataset file" if documents and isinstance(documents[0], dict) and "events" in documents[0] else "another YAML file"
        raise InputError(f"{file}: expected a compiled pipeline, got {what}; {_COMPILE}")
    try:
        spec = json_format.ParseDict(documents[0], PipelineSpec())
        for platform in documents[1:]:
            json_format.ParseDict(platform, PlatformSpec())
    except json_format.ParseError as error:
        raise InputError(f"{file}: the API server would refuse it: {_first_line(error)}; {_COMPILE}") from None
    if spec.schema_version != SCHEMA_VERSION:
        raise InputError(f"{file}: expected schemaVersion {SCHEMA_VERSION}, got {spec.schema_version or 'none'}; {_COMPILE}")
    declared = documents[0].get("root", {}).get("inputDefinitions", {}).get("parameters", {})
    return Package(
        file=file,
        name=spec.pipeline_info.name,
        digest=hashlib.sha256(json.dumps(documents, sort_keys=True, default=str).encode()).hexdigest()[:12],
        steps=topological_order(documents[0].get("root", {}).get("dag", {}).get("tasks", {})),
        kinds={name: str(each.get("parameterType", "STRING")) for name, each in declared.items()},
        required=frozenset(name for name, each in declared.items() if "defaultValue" not in each and not each.get("isOptional")),
        pipeline_root=spec.default_pipeline_root or None,
        defaults={name: each["defaultValue"] for name, each in declared.items() if "defaultValue" in each},
    )


def topological_order(tasks: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of a pipeline's tasks, each after those that it depends on."""
    dependencies = {name: tasks[name].get("dependentTasks") or () for name in sorted(tasks)}
    return tuple(TopologicalSorter(dependencies).static_order())


def _value(assignments: str, text: str, kind: str) -> Any:
    try:
        match kind:
            case "NUMBER_INTEGER":
                return int(text)
            case "NUMBER_DOUBLE":
                return float(text)
            case "BOOLEAN":
                return {"true": True, "false": False}[text.lower()]
            case "LIST" | "STRUCT":
                value = json.loads(text)
                if isinstance(value, list if kind == "LIST" else dict):
                    return value
                raise ValueError(text)
            case _:
                return text
    except (ValueError, KeyError):
        raise InputError(f"--parameter {assignments}: expected {_KINDS[kind]}, got {text!r}") from None


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
