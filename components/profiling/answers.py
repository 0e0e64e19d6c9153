"""The user's answers about the files, by flags or at a prompt, and the questions to ask."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Literal

from components.contract.errors import InputError
from components.contract.sources import EVENT_ROLES

FileUse = Literal["events", "items", "users", "ignore"]
CandidateForm = Literal["impressions", "list", "sampling", "rows"]
NO_COLUMN = "-"  # the answer that no column has a role
_ROLE = re.compile(r"^(?:(?P<file>[^:=]+):)?(?P<role>\w+)=(?P<column>.+)$")
_ACTION = re.compile(r"^(?P<name>[a-z][a-z0-9_]*)=(?P<value>[^:]+)(?::(?P<gain>\d+(?:\.\d+)?))?$")
_USE = re.compile(r"^(?P<file>.+)=(?P<use>events|items|users|ignore)$")


@dataclass(frozen=True)
class Answers:
    """Answers that replace guesses.

    `roles`: (file name or "", role) to column, or `NO_COLUMN`. `actions`: a log's word to the action's name and gain
    (None: the default one). `uses`: file name to its use. `day_first`: of dates such as 3/4/2026.
    """

    roles: Mapping[tuple[str, str], str] = field(default_factory=dict)
    actions: Mapping[str, tuple[str, float | None]] = field(default_factory=dict)
    uses: Mapping[str, FileUse] = field(default_factory=dict)
    candidates: CandidateForm | None = None
    day_first: bool | None = None
    name: str | None = None

    def role(self, path: str, role: str) -> str | None:
        """Return the column that has a role in a file: the answer for the file, else for all files."""
        return self.roles.get((PurePath(path).name, role), self.roles.get(("", role)))


@dataclass(frozen=True)
class Question:
    """A question that the files don't answer.

    `key` names it; `choices` are the possible answers, the likeliest first; `default` is used unless it is answered,
    None where there is none. `flag` is how to answer on the command line.
    """

    key: tuple[str, ...]
    text: str
    choices: tuple[str, ...]
    default: str | None
    flag: str


def parse_answers(
    *,
    roles: Sequence[str] = (),
    actions: Sequence[str] = (),
    uses: Sequence[str] = (),
    candidates: CandidateForm | None = None,
    day_first: bool | None = None,
    name: str | None = None,
) -> Answers:
    """Parse the flags `--role [FILE:]ROLE=COLUMN`, `--action NAME=VALUE[:GAIN]` and `--file FILE=USE`.

    Raises:
        InputError: one has another form, or names an unknown role.
    """
    said: dict[tuple[str, str], str] = {}
    for text in roles:
        match = _ROLE.match(text)
        if not match or match["role"] not in (*EVENT_ROLES, "id"):
            raise InputError(f"--role {text}: expected [FILE:]ROLE=COLUMN with a role of {', '.join((*EVENT_ROLES, 'id'))}")
        said[match["file"] or "", match["role"]] = match["column"]
    meant: dict[str, tuple[str, float | None]] = {}
    for text in actions:
        match = _ACTION.match(text)
        if not match:
            raise InputError(f"--action {text}: expected NAME=VALUE[:GAIN], such as purchase=buy:5; VALUE is the log's word")
        meant[match["value"]] = (match["name"], float(match["gain"]) if match["gain"] else None)
    used: dict[str, FileUse] = {}
    for text in uses:
        match = _USE.match(text)
        if not match:
            raise InputError(f"--file {text}: expected FILE=events, FILE=items, FILE=users or FILE=ignore")
        used[PurePath(match["file"]).name] = match["use"]  # type: ignore[assignment]
    return Answers(roles=said, actions=meant, uses=used, candidates=candidates, day_first=day_first, name=name)


def answered(answers: Answers, question: Question, reply: str) -> Answers:
    """Add an answer."""
    match question.key:
        case ("role", file, role):
            return replace(answers, roles={**answers.roles, (file, role): reply})
        case ("action", value):
            name, _, gain = reply.partition(":")
            return replace(answers, actions={**answers.actions, value: (name, float(gain) if gain else None)})
        case ("use", file):
            return replace(answers, uses={**answers.uses, file: reply})  # type: ignore[dict-item]
        case ("day_first",):
            return replace(answers, day_first=reply == "day")
        case ("candidates",):
            return replace(answers, candidates=reply)  # type: ignore[arg-type]
    raise AssertionError(question.key)
