"""Adapt a public data set's dataset file to the existing files."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import yaml

from components.profiling.drafts.dataset_text import dataset_text
from components.profiling.drafts.guesses import Guess
from components.profiling.drafts.source_keys import file_keys
from components.profiling.known.public_formats import RecognisedFormat, dataset_file
from components.profiling.samples.file_groups import FileGroup

_DIALECT = ("format", "separator", "encoding", "quote", "escape")
_TABLES = ("items", "users")


@dataclass(frozen=True)
class RecognisedDraft:
    """The text of a dataset file, with the guesses."""

    text: str
    guesses: tuple[Guess, ...]


def recognised_draft(recognised: RecognisedFormat, *, folder: str, name: str | None = None) -> RecognisedDraft:
    """Fill in the paths of these files in the data set's dataset file, without the parts whose files are missing."""
    text = _renamed(dataset_file(recognised.format).read_text(encoding="utf-8"), recognised.alias)
    dataset = yaml.safe_load(text)
    here = _with_files(dataset, recognised.groups, folder)
    if name:
        here["name"] = name
    made = _with_paths(text, dataset, here) if _same_but_paths(dataset, here) else dataset_text(here, heading=_heading(text), comments={})
    return RecognisedDraft(made, tuple(_guesses(recognised, here)))


def _renamed(text: str, alias: Mapping[str, str]) -> str:
    """Rename the columns to those of an edition, in quotes where SQL needs them."""
    for name, other in alias.items():
        lines = []
        for line in text.splitlines():
            sql = line.lstrip().startswith("where:") and " " in other
            lines.append(
                re.sub(rf"\b{re.escape(name)}\b", f'"{other}"' if sql else other, line) if not line.lstrip().startswith("#") else line
            )
        text = "\n".join(lines) + "\n"
    return text


def _with_files(dataset: dict[str, Any], groups: Mapping[str, tuple[FileGroup, ...]], folder: str) -> dict[str, Any]:
    made = dict(dataset)
    events = dataset["events"] if isinstance(dataset["events"], list) else [dataset["events"]]
    made["events"] = [_with_file(source, group, folder) for source in events for group in groups.get(source["path"], ())]
    for table in _TABLES:
        if table in dataset:
            there = groups.get(dataset[table]["path"], ())
            if there:
                made[table] = _with_file(dataset[table], there[0], folder)
            else:
                del made[table]
                _drop_features(made, table)
    return made


def _with_file(source: dict[str, Any], group: FileGroup, folder: str) -> dict[str, Any]:
    """Fill in the path and the dialect of the existing files in a source or a table."""
    keys = file_keys(group, folder, {}, used=())
    # A file that is ASCII in the sample may have other letters later.
    plain = all(character.isascii() for line in group.table.first_lines for character in line)
    made = {}
    for key, value in {**source, **{key: keys[key] for key in _DIALECT if key in keys}, "path": keys["path"]}.items():
        if key in _DIALECT and key not in keys and not (key == "encoding" and plain):
            continue
        made[key] = value
    if made.get("encoding") and plain and "encoding" not in source:
        del made["encoding"]
    if "encoding" in source and "encoding" in keys:
        made["encoding"] = source["encoding"] if keys["encoding"] in ("latin-1", "cp1252") else keys["encoding"]
    return made


def _drop_features(dataset: dict[str, Any], table: str) -> None:
    """Leave out the features of a missing table, and what depends on them."""
    side = {"items": "item", "users": "user"}[table]
    kinds = ("id", "category", "number", "text", "multi", "vector")

    def is_lost(feature: Mapping[str, Any]) -> bool:
        own = feature["name"] in ("item", "user", "position")
        return feature["side"] == side and feature["kind"] in kinds and not own and feature.get("source") != "events"

    lost = {feature["name"] for feature in dataset["features"] if is_lost(feature)}
    kept = []
    for feature in dataset["features"]:
        if feature["name"] in lost or feature.get("of") in lost:
            continue
        kept.append({**feature, "fields": [each for each in feature["fields"] if each not in lost]} if "fields" in feature else feature)
    dataset["features"] = kept
    if "slices" in dataset:
        dataset["slices"] = [name for name in dataset["slices"] if name not in lost]


def _same_but_paths(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return _without_paths(one) == _without_paths(other)


def _without_paths(dataset: dict[str, Any]) -> dict[str, Any]:
    made = {name: value for name, value in dataset.items() if name not in ("events", *_TABLES)}
    sources = dataset["events"] if isinstance(dataset["events"], list) else [dataset["events"]]
    made["events"] = [{**source, "path": ""} for source in sources]
    return made | {table: {**dataset[table], "path": ""} for table in _TABLES if table in dataset}


def _with_paths(text: str, dataset: dict[str, Any], here: dict[str, Any]) -> str:
    """Replace the values of `path:` in the text, and keep its comments."""
    sources = [
        *(dataset["events"] if isinstance(dataset["events"], list) else [dataset["events"]]),
        *(dataset[t] for t in _TABLES if t in dataset),
    ]
    others = [*here["events"], *(here[table] for table in _TABLES if table in here)]
    for source, other in zip(sources, others, strict=True):
        written = (
            other["path"] if re.fullmatch(r"[\w./*][\w ./*-]*", other["path"]) else yaml.safe_dump(other["path"], default_style='"').strip()
        )
        text = re.sub(rf"(\bpath: ){re.escape(source['path'])}(?=[,\n])", lambda match, to=written: match[1] + to, text)  # type: ignore[misc]
    return text


def _heading(text: str) -> list[str]:
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").removeprefix(" "))
    return lines


def _guesses(recognised: RecognisedFormat, dataset: dict[str, Any]) -> Iterator[Guess]:
    title = recognised.format.title
    why = f"it is {title}'s"
    names = {group.pattern: group.name for those in recognised.groups.values() for group in those}
    yield Guess("all", "data set", title, 1.0, f"the columns of {', '.join(sorted(names.values()))}")
    for source in dataset["events"]:
        file = PurePath(source["path"]).name
        for role, column in source["columns"].items():
            yield Guess(file, role, " + ".join(column) if isinstance(column, list) else str(column), 1.0, why)
        if "action" in source:
            yield Guess(file, "action of all rows", source["action"], 1.0, why)
    for table in _TABLES:
        if table in dataset:
            yield Guess(PurePath(dataset[table]["path"]).name, "holds", f"{table}, by {dataset[table]['id']}", 1.0, why)
    for name, action in dataset["actions"].items():
        words = ", ".join(action.get("values", [name]))
        yield Guess("all", f"action {name} ({words})", f"label {action['label']:g}" if action.get("label") else "no label", 1.0, why)
    yield Guess("all", "candidates", dataset["candidates"]["from"], 1.0, why)


def unused_files(recognised: RecognisedFormat, groups: list[FileGroup]) -> list[str]:
    """List the files that the data set's dataset file doesn't use."""
    used = {group.pattern for those in recognised.groups.values() for group in those}
    return [os.path.basename(group.pattern) for group in groups if group.pattern not in used]
