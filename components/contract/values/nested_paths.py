"""Parse paths into nested values: `geo.country`, `items[0].sku`, `params[key=page].value`, `ts.$date`.

    path    = name { step }
    step    = "." name              a member of an object, a field of a struct, a key of a map
            | "[" number "]"        an element of an array, from 0
            | "[" name "=" text "]" the first element whose member of that name is written as the text

A member of an array of objects is that member of each of them: `lines.sku` is a list. Brackets around anything else
belong to a name, as in `price [EUR]`; a column that is literally named like the whole path takes precedence.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

INDEX = "#"  # suffix of the path of an unnested array: the element's index


@dataclass(frozen=True)
class Key:
    """The member of that name."""

    name: str


@dataclass(frozen=True)
class Element:
    """The element at that index, from 0."""

    at: int


@dataclass(frozen=True)
class Match:
    """The first element whose member `key` is written as `value`."""

    key: str
    value: str


Step = Key | Element | Match
Steps = tuple[Step, ...]

_BRACKET = re.compile(r"\[(?:(?P<at>\d+)|(?P<key>[^\[\]=]+)=(?P<value>[^\[\]]*))\](?=[.\[]|$)")


@lru_cache(maxsize=4096)
def steps_of(text: str) -> Steps:
    """Parse the steps of a path; one Key where the text is a plain name.

    Raises:
        ValueError: it is an invalid path; the text says what is wrong and what to write.
    """
    fault = path_fault(text)
    if fault is not None:
        raise ValueError(fault)
    steps: list[Step] = []
    for part in _parts(text):
        bracket = part.find("[")
        opened = _first_bracket(part) if bracket > 0 else None
        if opened is None:
            steps.append(Key(part))
            continue
        steps.append(Key(part[:opened]))
        steps.extend(
            Element(int(match["at"])) if match["at"] is not None else Match(match["key"], match["value"])
            for match in _BRACKET.finditer(part, opened)
        )
    return tuple(steps)


def path_fault(text: str) -> str | None:
    """Word what is wrong with a path; None where it is valid."""
    if re.search(r"\[\s*\*?\s*\]", text):
        array = re.split(r"\[\s*\*?\s*\]", text)[0]
        return f"`[]` names no element of {array!r}; write {array}[0] for the first, or `unnest: {array}` for a row of each"
    if re.search(r"\[-\d+\]", text):
        return "elements are counted from the front, from [0] on"
    if text.count("[") != text.count("]"):
        return "a bracket isn't closed; write a[0] for an element, a[key=NAME] for the one whose `key` is NAME"
    if "" in _parts(text):
        return "a name is missing beside a dot; write a.b for the member b of a"
    return None


def below(path: str, array: str) -> str | None:
    """Return a path relative to that of an array; None where it is outside, "" where it is the array itself."""
    if path == array:
        return ""
    return path.removeprefix(f"{array}.") if path.startswith(f"{array}.") else None


def _parts(text: str) -> list[str]:
    """Split the text at its dots, except those within brackets."""
    return re.split(r"\.(?![^\[\]]*\])", text)


def _first_bracket(part: str) -> int | None:
    """Return where the brackets of steps begin in a part; None where all of it is a name."""
    for match in _BRACKET.finditer(part):
        if match.start() and _BRACKET.sub("", part[match.start() :]) == "":
            return match.start()
    return None
