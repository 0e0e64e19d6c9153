"""Reading a strict YAML file as a model: every fault with its line, what was expected, and the closest known name."""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import ValidationError

from components.contract.base_model import Fault, Place, Strict, closest
from components.contract.error_text import fault_text, without_branches
from components.contract.errors import ShelfRankError

Model = TypeVar("Model", bound=Strict)
# The name of a list or mapping whose parts are of several models: the key that tells which, the field that holds it, and their union.
Tags = Mapping[str, tuple[str, str, Any]]


def read_text(path: str | Path, *, what: str, remedy: str, error: type[ShelfRankError]) -> str:
    """The text of a file.

    Raises:
        error: it is missing, which `remedy` says what to do about, or no text in UTF-8.
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
    """The model that a YAML text describes.

    Args:
        text: YAML.
        name: what errors call the file.
        model: of the whole file.
        check: what the parts must say of each other, looked at once each is right by itself.
        error: what is raised.
        example: the beginning of such a file.
        tags: the parts that are of several models.

    Raises:
        error: it isn't YAML, or says something that can't be; every fault is listed with its line.
    """
    try:
        given, node = _parsed(text)
    except yaml.YAMLError as fault:
        raise error(f"{name}: expected YAML: {fault}") from None
    if not isinstance(given, dict):
        raise error(f"{name}: expected a mapping such as `{example}`, got {type(given).__name__}")
    twice: list[str] = []
    lines = dict(_lines(node, (), twice))
    if twice:
        raise error("\n".join(f"{name}, {message}" for message in twice))
    try:
        made = model.model_validate(given)
        faults = list(check(made))
    except ValidationError as invalid:
        faults = faults_of(invalid, given, tags)
    if faults:
        raise error("\n".join(_sentence(name, lines, place, message) for place, message in faults))
    return made


def _parsed(text: str) -> tuple[Any, yaml.Node | None]:
    """What a YAML text holds, and its nodes, which know their lines.

    Raises:
        YAMLError: it isn't YAML; the message shows the line.
    """
    try:
        loader = yaml.CSafeLoader(text)
        node = loader.get_single_node()
    except yaml.YAMLError:
        # Ten times as slow, and its errors quote the line.
        yaml.compose(text, Loader=yaml.SafeLoader)
        raise
    return None if node is None else loader.construct_document(node), node


def faults_of(invalid: ValidationError, given: Any, tags: Tags | None = None) -> list[Fault]:
    """The faults that pydantic found in what was given, each with its place and a sentence."""
    details = without_branches(invalid.errors(include_url=False), given)
    # A list with wrong entries is also said to be too short.
    below = {detail["loc"][:depth] for detail in details for depth in range(1, len(detail["loc"]))}
    return [
        fault
        for detail in details
        if not (detail["type"] == "too_short" and detail["loc"] in below)
        for fault in _faults(detail, tags or {})
    ]


def _faults(detail: Any, tags: Tags) -> Iterator[Fault]:
    """The faults that one error of pydantic tells of."""
    place: Place = detail["loc"]
    match detail["type"]:
        case "faults":
            for below, text in detail["ctx"]["faults"]:
                yield (*place, *below), text
        case "missing":
            yield place[:-1], f"`{place[-1]}` is missing"
        case "union_tag_not_found" | "union_tag_invalid":
            yield _tag_fault(place, detail["input"], tags)
        case "default_factory_not_called":
            pass  # a default that goes by another value, which is at fault and has a fault of its own
        case _:
            yield place, fault_text(detail)


def _tag_fault(place: Place, given: dict[Any, Any], tags: Tags) -> Fault:
    key, field, union = tags[str(place[0])]
    models = get_args(get_args(union)[0])
    known_tags = [get_args(model.model_fields[field].annotation)[0] for model in models]
    if key in given:
        return (*place, key), f"unknown value {given[key]!r}; {closest(str(given[key]), known_tags)}"
    known = {field.alias or name for model in models for name, field in model.model_fields.items()}
    if near := difflib.get_close_matches(key, [str(other) for other in given if other not in known], n=1, cutoff=0.5):
        return (*place, near[0]), f"unknown key {near[0]!r}; did you mean {key!r}?"
    return place, f"`{key}` is missing; known: {', '.join(sorted(known_tags))}"


def _sentence(name: str, lines: dict[Place, int], place: Place, message: str) -> str:
    # pydantic puts the tag of a union into the place, and a lone source is read as a list of one: neither stands in the file.
    where: Place = ()
    for part in place:
        if (*where, part) in lines:
            where = (*where, part)
    at = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).lstrip(".")
    return f"{name}, line {lines.get(where, 1)}: {at + ': ' if at else ''}{message}"


def _lines(node: yaml.Node | None, at: Place, twice: list[str]) -> Iterator[tuple[Place, int]]:
    """Line of each place in the file, from 1. A key that stands twice is told in `twice`: YAML would silently take the last."""
    if isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in first:
                twice.append(f"line {line}: the key {key.value!r} stands twice, first in line {first[key.value]}; keep one")
            first.setdefault(key.value, line)
            yield (*at, key.value), line
            yield from _lines(value, (*at, key.value), twice)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*at, index), value.start_mark.line + 1
            yield from _lines(value, (*at, index), twice)
