"""A Dockerfile as stages of steps: as much of the language as the images of this project use, and an error for the rest."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_KNOWN = {"FROM", "ARG", "ENV", "RUN", "COPY", "WORKDIR", "USER", "LABEL", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
_EXPANDED = {"FROM", "ARG", "ENV", "COPY", "WORKDIR", "USER", "LABEL"}  # in RUN the shell does it
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_PAIR = re.compile(r'(\S+?)=("[^"]*"|\S*)')


class DockerfileError(Exception):
    """The file has something that this reader doesn't know; the message names the line."""


@dataclass(frozen=True)
class Step:
    """One instruction.

    Attributes:
        name: RUN, COPY, ... in capitals.
        flags: `--from=build` is {"from": "build"}.
        text: what stands after the flags, with variables as written.
        line: where it begins, from 1 on.
    """

    name: str
    flags: Mapping[str, str]
    text: str
    line: int

    def words(self) -> list[str]:
        """Of a list in JSON, or divided at spaces."""
        return [str(word) for word in json.loads(self.text)] if self.text.startswith("[") else self.text.split()

    def pairs(self) -> dict[str, str]:
        """Of ENV, LABEL and ARG: name and value, "" where there is none."""
        if self.name == "ARG" and "=" not in self.text:
            return {self.text: ""}
        found = {name: value.strip('"') for name, value in _PAIR.findall(self.text)}
        if not found or _PAIR.sub("", self.text).strip():
            raise DockerfileError(f"line {self.line}: expected NAME=VALUE ..., got {self.text!r}")
        return found


@dataclass(frozen=True)
class Stage:
    """From one FROM to the next.

    Attributes:
        name: by which later stages copy from it; "" for the last.
        base: image, or name of an earlier stage.
        steps: without the FROM.
    """

    name: str
    base: str
    steps: tuple[Step, ...] = field(default=())

    def only(self, name: str) -> Step | None:
        """The last step of that name, which is the one that holds; None without one."""
        return next((step for step in reversed(self.steps) if step.name == name), None)


def expanded(text: str, values: Mapping[str, str]) -> str:
    """With `$NAME` and `${NAME}` replaced; what isn't known is empty, as Docker has it."""
    return _VARIABLE.sub(lambda found: values.get(found[1] or found[2], ""), text)


def stages(text: str, **arguments: str) -> tuple[Stage, ...]:
    """The stages in order; `arguments` replace defaults of the ARGs before the first FROM.

    Raises:
        DockerfileError: an instruction, a flag or a form that isn't known here.
    """
    given: dict[str, str] = {}
    found: list[Stage] = []
    for step in _steps(text):
        if step.name == "FROM":
            words = expanded(step.text, given).split()
            if len(words) not in (1, 3) or (len(words) == 3 and words[1].upper() != "AS"):
                raise DockerfileError(f"line {step.line}: expected FROM IMAGE [AS NAME], got {step.text!r}")
            found.append(Stage(words[2] if len(words) == 3 else "", words[0]))
        elif found:
            found[-1] = Stage(found[-1].name, found[-1].base, (*found[-1].steps, step))
        elif step.name == "ARG":
            given |= {name: arguments.get(name, value) for name, value in step.pairs().items()}
        else:
            raise DockerfileError(f"line {step.line}: {step.name} before the first FROM")
    if unknown := arguments.keys() - given.keys():
        raise DockerfileError(f"no ARG before the first FROM is named {', '.join(sorted(unknown))}")
    return tuple(found)


def _steps(text: str) -> Iterator[Step]:
    joined, begin = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#") or not line.strip():
            continue  # within a continued instruction too
        begin = begin or number
        joined += line.strip().removesuffix("\\").strip() + " "
        if not line.rstrip().endswith("\\"):
            yield _step(joined.strip(), begin)
            joined, begin = "", 0
    if joined:
        raise DockerfileError(f"line {begin}: the file ends in the middle of an instruction")


def _step(text: str, line: int) -> Step:
    name, _, rest = text.partition(" ")
    name, flags = name.upper(), {}
    if name not in _KNOWN:
        raise DockerfileError(f"line {line}: expected one of {', '.join(sorted(_KNOWN))}, got {name}")
    while found := re.match(r"--([\w-]+)=(\S+)\s+", rest):
        flags[found[1]] = found[2]
        rest = rest[found.end() :]
    allowed = {"COPY": {"from", "chmod"}, "HEALTHCHECK": {"interval", "timeout", "start-period", "retries"}}.get(name, set())
    if rest.startswith("--") or not flags.keys() <= allowed or "<<" in rest:
        raise DockerfileError(f"line {line}: {name} has a flag or a form that isn't known here: {text!r}")
    if name in _EXPANDED and re.search(r"\$\{\w*[^\w}]", rest):
        raise DockerfileError(f"line {line}: expected $NAME or ${{NAME}}, got {rest!r}")
    return Step(name, flags, rest.strip(), line)
