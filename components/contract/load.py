"""Reading a dataset file: YAML to `Dataset`, with errors that name the file, the line and the remedy."""

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError

from components.contract.columns import columns
from components.contract.consistency import faults as inconsistencies
from components.contract.dataset import Dataset
from components.contract.errors import DatasetFileError
from components.contract.features import Feature
from components.contract.sources import Candidates
from components.contract.strict import Fault, Place, closest

# The key that tells which of several mappings it is, and the field that holds it.
_TAGS = {"features": ("kind", "kind", Feature), "candidates": ("from", "origin", Candidates)}


def load_dataset(path: str | Path) -> Dataset:
    """Read and check a dataset file.

    Raises:
        DatasetFileError: it is missing, isn't YAML, or says something that can't be; every fault is listed with its line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DatasetFileError(f"{path}: expected a dataset file, found none; `examples/` has some to start from") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetFileError(f"{path}: can't be read as a text file: {error}") from None
    return parse_dataset(text, str(path))


def parse_dataset(text: str, name: str = "dataset file") -> Dataset:
    """As `load_dataset`, from the text; `name` is what errors call it."""
    try:
        given = yaml.safe_load(text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise DatasetFileError(f"{name}: expected YAML: {error}") from None
    if not isinstance(given, dict):
        raise DatasetFileError(f"{name}: expected a mapping such as `name: my_shop`, got {type(given).__name__}")
    twice: list[str] = []
    lines = dict(_lines(node, (), twice))
    if twice:
        raise DatasetFileError("\n".join(f"{name}, {message}" for message in twice))
    try:
        dataset = Dataset.model_validate(given)
        faults = inconsistencies(dataset) or list(_same_columns(dataset))
    except ValidationError as error:
        details = error.errors(include_url=False)
        # A list whose entries are all wrong is also said to be too short.
        below = {detail["loc"][:-1] for detail in details} | {detail["loc"][:1] for detail in details if len(detail["loc"]) > 1}
        faults = [
            fault for detail in details if not (detail["type"] == "too_short" and detail["loc"] in below) for fault in _faults(detail)
        ]
    if faults:
        raise DatasetFileError("\n".join(_sentence(name, lines, place, message) for place, message in faults))
    return dataset


def _same_columns(dataset: Dataset) -> Iterator[Fault]:
    """Features whose columns would have one name, such as a number `clicks_7d` beside counts `clicks`."""
    owners: dict[str, str] = {}
    for column in columns(dataset):
        if column.name in owners:
            at = [feature.name for feature in dataset.features].index(column.feature or owners[column.name])
            yield (
                ("features", at),
                f"its column {column.name!r} is one of {owners[column.name] or 'the labels'} already; rename the feature",
            )
        owners[column.name] = column.feature


def _faults(detail: Any) -> Iterator[Fault]:
    """The faults that one error of pydantic tells of."""
    place: Place = detail["loc"]
    message: str = detail["msg"].removeprefix("Value error, ")
    match detail["type"]:
        case "faults":
            for below, text in detail["ctx"]["faults"]:
                yield (*place, *below), text
        case "missing":
            yield place[:-1], f"`{place[-1]}` is missing"
        case "union_tag_not_found" | "union_tag_invalid":
            yield _tag_fault(place, detail["input"])
        case "value_error":
            yield place, message
        case _:
            yield place, message + ("" if isinstance(detail["input"], dict) else f", got {detail['input']!r}")


def _tag_fault(place: Place, given: dict[Any, Any]) -> Fault:
    key, field, union = _TAGS[str(place[0])]
    models = get_args(get_args(union)[0])
    tags = [get_args(model.model_fields[field].annotation)[0] for model in models]
    if key in given:
        return (*place, key), f"unknown value {given[key]!r}; {closest(str(given[key]), tags)}"
    known = {field.alias or name for model in models for name, field in model.model_fields.items()}
    if near := difflib.get_close_matches(key, [str(other) for other in given if other not in known], n=1, cutoff=0.5):
        return (*place, near[0]), f"unknown key {near[0]!r}; did you mean {key!r}?"
    return place, f"`{key}` is missing; known: {', '.join(sorted(tags))}"


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
