"""Write a drafted dataset file as YAML with comments, a line for each feature."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

_LINE = 130
_SIDES = {"context": "Of the request", "user": "Of the shopper", "item": "Of each candidate"}
_GROUPS = (("name", "seed"), ("events", "items", "users", "identities"), ("actions", "ignore_actions", "candidates"))


def dataset_text(dataset: Mapping[str, Any], *, heading: Sequence[str], comments: Mapping[str, Sequence[str]]) -> str:
    """Write the text of a dataset file.

    Args:
        dataset: as `yaml.safe_load` would return it.
        heading: comment lines above everything.
        comments: comment lines above a key.
    """
    parts = [list(_commented(heading))]
    order = [*(name for names in _GROUPS for name in names), *(name for name in dataset if name not in {n for g in _GROUPS for n in g})]
    for group in (
        *_GROUPS,
        tuple(name for name in order if not any(name in each for each in _GROUPS) and name != "features"),
        ("features",),
    ):
        lines = [line for name in group if name in dataset for line in _entry(name, dataset[name], comments.get(name, ()))]
        if lines:
            parts.append(lines)
    # Slices come after the features they name.
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _entry(name: str, value: Any, comments: Sequence[str]) -> Iterator[str]:
    yield from _commented(comments)
    if name == "features":
        yield "features:"
        yield from _features(value)
    elif name == "events":
        yield "events:"
        for source in value:
            yield from _block(source, "  - ", "    ")
    elif isinstance(value, dict) and len(line := f"{name}: {flow(value)}") > _LINE:
        yield f"{name}:"
        yield from _block(value, "  ", "  ")
    elif name == "actions":
        yield "actions:"
        for action, keys in value.items():
            yield f"  {action}: {flow(keys)}"
    else:
        yield f"{name}: {flow(value)}" if not isinstance(value, dict) else line


def _features(features: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for side, title in _SIDES.items():
        of_side = [feature for feature in features if feature["side"] == side]
        if of_side:
            yield f"  # {title}"
            yield from (f"  - {flow(feature)}" for feature in of_side)


def _block(value: Mapping[str, Any], first: str, rest: str) -> Iterator[str]:
    prefix = first
    for key, inner in value.items():
        yield f"{prefix}{key}: {flow(inner)}"
        prefix = rest


def _commented(lines: Sequence[str]) -> Iterator[str]:
    yield from (f"# {line}".rstrip() for line in lines)


def flow(value: Any) -> str:
    """Write a value on one line of YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, width=math.inf, sort_keys=False, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")
