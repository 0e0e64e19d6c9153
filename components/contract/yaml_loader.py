"""Read a YAML file as a strict pydantic model; faults have their line, what was expected, and a suggestion."""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import ValidationError

from components.contract.base_model import Fault, Location, Strict, closest
from components.contract.error_text import fault_text, without_branches
from components.contract.errors import ShelfRankError

Model = TypeVar("Model", bound=Strict)
# By name of a list or mapping of a tagged union: the key of the tag, the field that holds it, and the union.
Tags = Mapping[str, tuple[str, str, Any]]


def read_text(path: str | Path, *, what: str, remedy: str, error: type[ShelfRankError]) -> str:
    """Read a file's text.

    Raises:
        error: it is missing, with `remedy` in the text, or isn't UTF-8.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise error(f"{path}: expected {what}, found none; {remedy}") from None
    except (OSError, UnicodeDecodeError) as fault:
        raise error(f"{path}: can't be read as a text file: {fault}") from None


def parse_strict(
    text: str,
    name: str,
    *,
    model: type[Model],
    check: Callable[[Model], Sequence[Fault]],
    error: type[ShelfRankError],
    example: str,
    tags: Tags | None = None,
) -> Model:
    """Parse YAML as a pydantic model.

    Args:
        text: YAML.
        name: of the file, for errors.
        model: of the whole file.
        check: of the parts against each other, once each is valid by itself.
        error: what is raised.
        example: the beginning of such a file.
        tags: the parts that are tagged unions.

    Raises:
        error: it isn't YAML, or is invalid; every fault is listed with its line.
    """
    try:
        document, node = _parsed(text)
    except yaml.YAMLError as fault:
        raise error(f"{name}: expected YAML: {fault}") from None
    if not isinstance(document, dict):
        raise error(f"{name}: expected a mapping such as `{example}`, got {type(document).__name__}")
    repeated: list[str] = []
    lines = dict(_lines(node, (), repeated))
    if repeated:
        raise error("\n".join(f"{name}, {message}" for message in repeated))
    try:
        made = model.model_validate(document)
        faults = list(check(made))
    except ValidationError as invalid:
        faults = faults_of(invalid, document, tags)
    if faults:
        raise error("\n".join(_sentence(name, lines, location, message) for location, message in faults))
    return made


def _parsed(text: str) -> tuple[Any, yaml.Node | None]:
    """Parse a YAML text to its value, and to nodes with line numbers.

    Raises:
        YAMLError: it isn't YAML; the message shows the line.
    """
    try:
        loader = yaml.CSafeLoader(text)
        node = loader.get_single_node()
    except yaml.YAMLError:
        # PyYAML's own loader: ten times slower, but its errors quote the line.
        yaml.compose(text, Loader=yaml.SafeLoader)
        raise
    return None if node is None else loader.construct_document(node), node


def faults_of(invalid: ValidationError, document: Any, tags: Tags | None = None) -> list[Fault]:
    """Convert pydantic's errors to faults, each with its location and a sentence."""
    details = without_branches(invalid.errors(include_url=False), document)
    # pydantic also reports a list with wrong entries as too short.
    below = {detail["loc"][:depth] for detail in details for depth in range(1, len(detail["loc"]))}
    return [
        fault
        for detail in details
        if not (detail["type"] == "too_short" and detail["loc"] in below)
        for fault in _faults(detail, tags or {})
    ]


def _faults(detail: Any, tags: Tags) -> Iterator[Fault]:
    """Yield the faults of one pydantic error."""
    location: Location = detail["loc"]
    match detail["type"]:
        case "faults":
            for below, text in detail["ctx"]["faults"]:
                yield (*location, *below), text
        case "missing":
            yield location[:-1], f"`{location[-1]}` is missing"
        case "union_tag_not_found" | "union_tag_invalid":
            yield _tag_fault(location, detail["input"], tags)
        case "default_factory_not_called":
            pass  # a default computed from another value, which is invalid and has its own fault
        case _:
            yield location, fault_text(detail)


def _tag_fault(location: Location, document: dict[Any, Any], tags: Tags) -> Fault:
    key, field, union = tags[str(location[0])]
    models = get_args(get_args(union)[0])
    known_tags = [get_args(model.model_fields[field].annotation)[0] for model in models]
    if key in document:
        return (*location, key), f"unknown value {document[key]!r}; {closest(str(document[key]), known_tags)}"
    known = {field.alias or name for model in models for name, field in model.model_fields.items()}
    if near := difflib.get_close_matches(key, [str(other) for other in document if other not in known], n=1, cutoff=0.5):
        return (*location, near[0]), f"unknown key {near[0]!r}; did you mean {key!r}?"
    return location, f"`{key}` is missing; known: {', '.join(sorted(known_tags))}"


def _sentence(name: str, lines: dict[Location, int], location: Location, message: str) -> str:
    # pydantic adds a union's tag to the location, and a single source is read as a list of one: neither is in the file.
    where: Location = ()
    for part in location:
        if (*where, part) in lines:
            where = (*where, part)
    at = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).lstrip(".")
    return f"{name}, line {lines.get(where, 1)}: {at + ': ' if at else ''}{message}"


def _lines(node: yaml.Node | None, at: Location, repeated: list[str]) -> Iterator[tuple[Location, int]]:
    """Yield the line of each location, from 1; append repeated keys to `repeated`, where YAML would take the last."""
    if isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in first:
                repeated.append(f"line {line}: the key {key.value!r} stands twice, first in line {first[key.value]}; keep one")
            first.setdefault(key.value, line)
            yield (*at, key.value), line
            yield from _lines(value, (*at, key.value), repeated)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*at, index), value.start_mark.line + 1
            yield from _lines(value, (*at, index), repeated)
