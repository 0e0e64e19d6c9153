"""Draft a dataset file from samples of a shop's files."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any

from components.contract.errors import InputError
from components.profiling.answers import Answers, Question
from components.profiling.drafts.dataset_mapping import Parts, dataset_mapping
from components.profiling.drafts.draft_guesses import file_guesses, other_guesses
from components.profiling.drafts.draft_questions import DOUBTFUL, event_questions, use_questions
from components.profiling.drafts.guesses import Guess
from components.profiling.roles.actions import merged, propose_actions, rating_column, with_gains
from components.profiling.roles.candidate_forms import EventFile, FormGuess, guess_form
from components.profiling.roles.event_files import as_label_file, with_basket, without_loose_requests, without_weak_ids
from components.profiling.roles.event_roles import assign_roles
from components.profiling.roles.feature_proposals import propose_features
from components.profiling.roles.file_uses import FileUseGuess, guess_uses
from components.profiling.samples.file_groups import FileGroup
from components.profiling.vocabulary import feature_name

_UNKNOWN = "nothing says what its rows are; say --file FILE=events and --action NAME=FILE:GAIN to use them"


@dataclass(frozen=True)
class Draft:
    """A dataset file as a mapping, with the guesses, the open questions, and comments by the part they precede."""

    dataset: dict[str, Any]
    guesses: tuple[Guess, ...]
    questions: tuple[Question, ...] = ()
    comments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def draft_dataset(groups: Sequence[FileGroup], answers: Answers, *, folder: str) -> Draft:
    """Draft the dataset file of these files; paths are relative to `folder`.

    Raises:
        InputError: no file holds events, or a role or a file of the answers doesn't exist.
    """
    _check_answers(groups, answers)
    uses = guess_uses(groups, answers)
    tables: dict[str, FileUseGuess] = {guess.use: guess for guess in uses if guess.use in ("items", "users")}
    files = [_event_file(guess.group, list(tables.values()), answers) for guess in uses if guess.use == "events"]
    questions = list(use_questions(uses, answers))
    catalogue = tables.get("items")
    form = guess_form(files, catalogue.group.profiles[catalogue.id].values if catalogue and catalogue.id else None, answers)
    kept, dropped = _usable(files, form)
    if not kept:
        raise InputError(_nothing_usable(files, groups))
    uses = [
        replace(guess, use="ignore", score=0.7, why=dropped[guess.group.pattern]) if guess.group.pattern in dropped else guess
        for guess in uses
    ]
    if form.form == "rows":
        kept = [without_weak_ids(file) for file in kept if file is form.file] or kept
    kept, unknown = _meant(kept, answers)
    uses = [replace(guess, use="ignore", score=0.4, why=_UNKNOWN) if guess.group.pattern in unknown else guess for guess in uses]
    kept = [as_label_file(file, form) for file in kept]
    form = replace(form, file=_same_file(kept, form))
    actions = merged(
        with_gains(merged([action for file in kept for action in file.actions]).values(), shown=form.form in ("impressions", "list"))
    )
    files = [with_basket(file, form, actions) for file in kept]
    form = replace(form, file=_same_file(files, form))
    files = without_loose_requests(files, form, actions)
    if form.form == "rows":
        tables = {use: guess for use, guess in tables.items() if files[0].roles.column("item" if use == "items" else "user")}
    names = {guess.group.pattern: _column_names(guess, files) for guess in uses}
    features = propose_features(files, form, tables, actions, names)
    questions += event_questions(files, actions, form, answers)
    parts = Parts(answers.name or _name(files[0].group, folder), files, form, tables, actions, features, names, answers, folder)
    dataset, comments = dataset_mapping(parts)
    guesses = (*file_guesses(uses, files), *other_guesses(form, actions, features))
    return Draft(dataset, guesses, tuple(questions), comments)


def _check_answers(groups: Sequence[FileGroup], answers: Answers) -> None:
    known = {group.name for group in groups} | {PurePath(path).name for group in groups for path in group.paths}
    for (file, role), column in answers.roles.items():
        if file and file not in known:
            raise InputError(f"--role {file}:{role}: expected one of the files {', '.join(sorted(known))}")
        those = [group for group in groups if not file or file == group.name or file in {PurePath(path).name for path in group.paths}]
        if column != "-" and not any(column in group.profiles for group in those):
            columns = sorted({name for group in those for name in group.profiles})
            raise InputError(f"--role {role}={column}: no file has such a column; there are {', '.join(columns[:40])}")
    for file in answers.uses:
        if file not in known:
            raise InputError(f"--file {file}: expected one of the files {', '.join(sorted(known))}")


def _event_file(group: FileGroup, tables: Sequence[FileUseGuess], answers: Answers) -> EventFile:
    roles = assign_roles(group, tables, answers)
    return EventFile(group, roles, tuple(propose_actions(group, roles, answers)))


def _usable(files: Sequence[EventFile], form: FormGuess) -> tuple[list[EventFile], dict[str, str]]:
    """Split the files into those with the roles that this form needs, and the others with what they lack."""
    need = ("label",) if form.form == "rows" else ("time", "user", "item")
    kept, dropped = [], {}
    for file in files:
        lacking = [role for role in need if file.roles.column(role) is None]
        if lacking:
            dropped[file.group.pattern] = f"events without {' and '.join(lacking)}: join it to a file that has them"
        else:
            kept.append(file)
    return kept, dropped


def _nothing_usable(files: Sequence[EventFile], groups: Sequence[FileGroup]) -> str:
    named = ", ".join(group.name for group in groups)
    lacking = []
    for file in files:
        roles = [role for role in ("time", "user", "item") if file.roles.column(role) is None]
        lacking.append(f"{file.group.name} has no column that surely is its {', '.join(roles)}")
    return (
        f"expected a file of events with time, user and item, or rows with an outcome, among {named}; "
        f"{'; '.join(lacking) or 'none looks like one'}: say it with --role ROLE=COLUMN, or --file FILE=events"
    )


def _meant(files: Sequence[EventFile], answers: Answers) -> tuple[list[EventFile], set[str]]:
    """Keep the files with a known action or an answered use; if there are none, all files."""
    known = [file for file in files if any(action.score >= DOUBTFUL for action in file.actions) or file.group.name in answers.uses]
    kept = known or list(files)
    return kept, {file.group.pattern for file in files if file not in kept}


def _same_file(files: Sequence[EventFile], form: FormGuess) -> EventFile | None:
    return next((file for file in files if form.file and file.group is form.file.group), None)


def _column_names(guess: FileUseGuess, files: Sequence[EventFile]) -> dict[str, str]:
    """Name the columns of a file without a header, by their roles."""
    if guess.group.table.has_header:
        return {}
    named: dict[str, str] = {}
    if guess.id is not None:
        named[guess.id] = "item_id" if guess.use == "items" else "user_id"
    for file in files:
        if file.group is guess.group:
            if rating := rating_column(guess.group):
                named[rating] = "rating"
            for role, score in reversed(list(file.roles.chosen.items())):
                named[score.column] = role
    return named


def _name(group: FileGroup, folder: str) -> str:
    parent = PurePath(os.path.abspath(group.pattern)).parent.name
    return feature_name((parent or PurePath(folder).name).lstrip("0123456789-_. ") or "shop")
