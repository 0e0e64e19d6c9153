"""Draft a dataset file from a shop's files, ask what is unsure, and check it against them: `shelfrank init`."""

import os
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from components.contract.errors import DatasetFileError, InputError
from components.contract.load import parse_dataset
from components.profiling.answers import Answers, Question, answered, parse_answers
from components.profiling.drafts.dataset_text import dataset_text
from components.profiling.drafts.draft import draft_dataset
from components.profiling.drafts.guesses import Guess, guesses_as_json, render_guesses
from components.profiling.known.prepare import prepare
from components.profiling.known.public_formats import RecognisedFormat, recognise
from components.profiling.known.recognised_draft import recognised_draft, unused_files
from components.profiling.samples.file_groups import FileGroup, grouped
from components.profiling.samples.file_sample import read_sample
from components.profiling.samples.sampled_rows import sampled_table
from components.profiling.samples.truncated_copy import copied_samples
from components.validate.check import Check, as_json, failed, render
from components.validate.validate_data import validate
from pipeline.terminal.console import console, print_json

MAX_VALIDATED_BYTES = 64 << 20  # larger files are validated by a sample
_MAX_FILES = 2000
_MAX_CHOICES = 9
_OTHER_SUFFIXES = (".md", ".rst", ".yaml", ".yml", ".py", ".ipynb", ".sql", ".sh", ".pdf", ".html", ".png", ".jpg", ".jpeg", ".gif", ".crc")


@dataclass(frozen=True)
class Drafted:
    """A drafted dataset file, its guesses and open questions, and the title and unused files of a public data set."""

    text: str
    guesses: tuple[Guess, ...]
    open_questions: tuple[Question, ...] = ()
    title: str | None = None
    unused: tuple[str, ...] = ()


def init_dataset(args: Namespace) -> None:
    """Draft a dataset file, ask what is unsure, write it, and check it against the files.

    Raises:
        InputError: a file can't be read, something that must be known isn't, the dataset file is there already, or
            doesn't fit the files.
    """
    out = _output_path(args)
    answers = parse_answers(
        roles=args.role, actions=args.action, uses=args.file, candidates=args.candidates, day_first=args.day_first, name=args.name
    )
    now_us = time.time_ns() // 1000
    groups = read_groups(files_of(args.files), now_us=now_us)
    recognised = recognise(groups) if args.known_formats else None
    if recognised is not None and recognised.raw:
        groups, recognised = _prepared(recognised, args, now_us)
    interactive = sys.stdin.isatty() and not args.yes and not args.json
    drafted = draft(groups, recognised, answers, folder=str(out.parent), interactive=interactive)
    unanswered = [question for question in drafted.open_questions if question.default is None]
    if unanswered:
        raise InputError("\n".join(f"{question.text} Say it with {question.flag}" for question in unanswered))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(drafted.text, encoding="utf-8")
    checks = checked(drafted.text, str(out), groups, now_us=now_us)
    _show(args, out, drafted, checks)
    if failed(checks):
        names = ", ".join(check.name for check in checks if check.verdict == "FAIL")
        raise InputError(f"{out} is written, and doesn't fit its data yet: {names}")


def files_of(paths: Sequence[str]) -> list[str]:
    """Return the files at these paths, those in folders included, except hidden ones.

    Raises:
        InputError: a path isn't there, or there are too many files.
    """
    files: list[str] = []
    for path in paths:
        if "://" in path:
            raise InputError(f"{path}: expected files of this machine; copy a few of them here, draft from those, and set `--data` later")
        if os.path.isdir(path):
            for folder, folders, names in os.walk(path):
                folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
                files += [os.path.join(folder, name) for name in sorted(names) if not _is_no_log(name)]
        elif os.path.exists(path):
            files.append(path)
        else:
            raise InputError(f"{path}: expected a file or a folder, found none; check the path")
    if not files:
        raise InputError(f"{', '.join(paths)}: expected files of logs, found none")
    if len(files) > _MAX_FILES:
        raise InputError(
            f"expected at most {_MAX_FILES:,} files, got {len(files):,}; name some of each kind, and widen the paths afterwards"
        )
    return list(dict.fromkeys(files))


def _is_no_log(name: str) -> bool:
    """Return whether a file in a folder of logs isn't one: hidden, documentation, a picture, code."""
    return name.startswith((".", "_")) or name.lower().endswith(_OTHER_SUFFIXES) or name.lower().startswith(("readme", "license"))


def read_groups(files: Sequence[str], *, now_us: int) -> list[FileGroup]:
    """Sample the files and group those of one kind."""
    return grouped([sampled_table(read_sample(path)) for path in files], now_us=now_us)


def draft(
    groups: Sequence[FileGroup], recognised: RecognisedFormat | None, answers: Answers, *, folder: str, interactive: bool = False
) -> Drafted:
    """Draft the dataset file, its paths relative to `folder`: of a recognised data set, or from samples and answers."""
    if recognised is not None:
        drafted = recognised_draft(recognised, folder=folder, name=answers.name)
        return Drafted(drafted.text, drafted.guesses, title=recognised.format.title, unused=tuple(unused_files(recognised, list(groups))))
    guessed = draft_dataset(groups, answers, folder=folder)
    answered_keys: set[tuple[str, ...]] = set()
    while interactive and (question := next((each for each in guessed.questions if each.key not in answered_keys), None)):
        answers = answered(answers, question, _ask(question))
        answered_keys.add(question.key)
        guessed = draft_dataset(groups, answers, folder=folder)
    unanswered = tuple(question for question in guessed.questions if question.key not in answered_keys)
    heading = [
        "Drafted by `shelfrank init` from a sample of the files: read it before you rely on it;"
        " docs/reference/dataset-file.md explains every key."
    ]
    heading += [
        f"Unsure: {question.text} Taken: {question.default} ({question.flag})" for question in unanswered if question.default is not None
    ]
    return Drafted(dataset_text(guessed.dataset, heading=heading, comments=guessed.comments), guessed.guesses, unanswered)


def checked(text: str, name: str, groups: Sequence[FileGroup], *, now_us: int) -> list[Check]:
    """Validate the dataset file against the files, or against a sample of large ones."""
    try:
        dataset = parse_dataset(text, name)
    except DatasetFileError as error:
        raise InputError(f"{name} is written, and must be mended by hand: {error}") from None
    folder = str(Path(name).parent)
    size = sum(os.path.getsize(path) for group in groups for path in group.paths)
    if size <= MAX_VALIDATED_BYTES:
        return validate(dataset, folder, now_us=now_us)
    with tempfile.TemporaryDirectory() as copy:
        copies = copied_samples(groups, Path(copy))
        checks = validate(parse_dataset(_with_paths(text, folder, copies), name), copy, now_us=now_us)
    return [_sample_verdict(check) for check in checks]


def _with_paths(text: str, folder: str, copies: Mapping[str, str]) -> str:
    """Return the dataset file with the paths of the copies in place of its own."""
    dataset = yaml.safe_load(text)
    tables = [dataset[name] for name in ("items", "users") if name in dataset]
    for source in (*dataset["events"], *tables):
        source["path"] = copies[os.path.abspath(os.path.join(folder, source["path"]))]
    return yaml.safe_dump(dataset, sort_keys=False)


def _sample_verdict(check: Check) -> Check:
    """Return the check as of a sample; a failed join is a warning, since two samples needn't have the same keys."""
    joins = check.verdict == "FAIL" and check.name in ("items are in the catalogue", "users are in the users")
    return Check(check.name, "WARN" if joins else check.verdict, f"{check.result} (of a sample)", check.examples)


def _output_path(args: Namespace) -> Path:
    out = Path(args.out or f"{args.name or 'shop'}.yaml")
    if out.exists() and not args.force:
        raise InputError(f"{out}: there is such a file already; --force replaces it, -o names another")
    return out.absolute()


def _prepared(recognised: RecognisedFormat, args: Namespace, now_us: int) -> tuple[list[FileGroup], RecognisedFormat | None]:
    """Convert a public data set's files to a form that a dataset file can describe."""
    files = {path: [file for group in groups for file in group.paths] for path, groups in recognised.groups.items()}
    if not args.prepare:
        names = ", ".join(sorted(group.name for groups in recognised.groups.values() for group in groups))
        raise InputError(
            f"{names}: this is {recognised.format.title}, which a dataset file can't describe as it is: {recognised.format.why_prepare}."
            " --prepare FOLDER writes Parquet files there that it can"
        )
    written = prepare(recognised.format.name, files, Path(args.prepare))
    groups = read_groups([str(path.absolute()) for path in written], now_us=now_us)
    return groups, recognise(groups)


def _ask(question: Question) -> str:
    """Ask on the terminal; an answer is a number of the list, or text."""
    print(f"\n{question.text}", file=sys.stderr)
    for number, choice in enumerate(question.choices[:_MAX_CHOICES], 1):
        print(f"  {number}. {choice}", file=sys.stderr)
    default = question.default or question.choices[0]
    while True:
        print(f"[{default}] ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        reply = line.strip()
        if not line and question.default is None:
            raise InputError(f"{question.text} Say it with {question.flag}")
        if not reply:
            return default
        if reply.isdecimal() and 1 <= int(reply) <= len(question.choices[:_MAX_CHOICES]):
            return question.choices[int(reply) - 1]
        if reply in question.choices or question.key[0] == "action":
            return reply
        print(f"expected one of {', '.join(question.choices)}, or its number", file=sys.stderr)


def _show(args: Namespace, out: Path, drafted: Drafted, checks: Sequence[Check]) -> None:
    if args.json:
        print_json(_as_json(out, drafted, checks))
        return
    terminal = console()
    terminal.print(render_guesses(drafted.guesses))
    for name in drafted.unused:
        terminal.print(f"{name} is left out: {drafted.title}'s dataset file has no use for it", highlight=False)
    for question in drafted.open_questions:
        terminal.print(
            f"unsure: {question.text} Taken: {question.default}. {question.flag} says otherwise", style="yellow", highlight=False
        )
    terminal.print()
    terminal.print(render(checks))
    terminal.print()
    shown = os.path.relpath(out)
    terminal.print(f"{shown} is written. Next: read it, then `shelfrank run {shown}`", highlight=False, soft_wrap=True)


def _as_json(out: Path, drafted: Drafted, checks: Sequence[Check]) -> dict[str, Any]:
    return {
        "dataset_file": str(out),
        "data_set": drafted.title,
        "guesses": guesses_as_json(drafted.guesses),
        "unsure": [{"question": each.text, "taken": each.default, "flag": each.flag} for each in drafted.open_questions],
        "unused": list(drafted.unused),
        "checks": as_json(checks),
    }
