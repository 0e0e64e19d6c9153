"""Refine the roles and actions of event files by the form of the candidates."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import polars as pl

from components.profiling.roles.actions import ProposedAction
from components.profiling.roles.candidate_forms import EventFile, FormGuess, labelled_rows
from components.profiling.roles.role_scores import RoleScore, rows_per_key
from components.profiling.vocabulary import action_of

_BASKET = 1.2  # labelled rows a shopper and moment, from which they are taken for one request
_SURE_ID = 0.7  # score from which a column of rows with an outcome is the item or the shopper


def without_weak_ids(file: EventFile) -> EventFile:
    """Drop uncertain item and user roles from rows with an outcome, which need none."""
    chosen = {role: score for role, score in file.roles.chosen.items() if role not in ("item", "user") or score.score >= _SURE_ID}
    return replace(file, roles=replace(file.roles, chosen=chosen))


def as_label_file(file: EventFile, form: FormGuess) -> EventFile:
    """Set the actions of rows with a label: the impression, and the label's."""
    label = file.roles.column("label")
    if label is None:
        return file
    meaning, gain = action_of(label)
    name = meaning if meaning and gain else "click"
    taken = ProposedAction(name, (), gain or 1.0, True, name, 0.8, f"where {label!r} is 1")
    if form.form == "rows":
        return replace(file, actions=(taken,))
    shown = ProposedAction("impression", (), 0.0, True, "impression", 0.9, "a row for each item shown")
    return replace(file, actions=(shown, taken)) if form.file and form.file.group is file.group else file


def with_basket(file: EventFile, form: FormGuess, actions: Mapping[str, ProposedAction]) -> EventFile:
    """Group a shopper's labelled rows of one moment to a request, where no column does."""
    user, time = file.roles.column("user"), file.roles.column("time")
    if form.form != "sampling" or file.roles.column("request") or not user or not time or file.roles.clock:
        return file
    rows = labelled_rows(file, {name: action.gain for name, action in actions.items()})
    if not len(rows) or rows_per_key(rows.select(pl.concat_str(user, time, separator="\x00", ignore_nulls=False)).to_series()) < _BASKET:
        return file
    request = RoleScore(time, 0.7, "a shopper's rows of one time are what was taken together")
    return replace(file, roles=replace(file.roles, chosen={**file.roles.chosen, "request": request}))


def without_loose_requests(files: Sequence[EventFile], form: FormGuess, actions: Mapping[str, ProposedAction]) -> list[EventFile]:
    """Drop the request role where each row is a request of its own."""
    if form.form != "sampling" or group_by(files, actions) == "request":
        return list(files)
    loose = ({role: score for role, score in file.roles.chosen.items() if role != "request"} for file in files)
    return [replace(file, roles=replace(file.roles, chosen=chosen)) for file, chosen in zip(files, loose, strict=True)]


def group_by(files: Sequence[EventFile], actions: Mapping[str, ProposedAction]) -> str:
    """Choose whether requests group labelled rows: all have a request, and some share one."""
    gains = {name: action.gain for name, action in actions.items()}
    tied = []
    for file in files:
        rows, request = labelled_rows(file, gains), file.roles.column("request")
        if len(rows):
            tied.append(request is not None and rows[request].null_count() < 0.05 * len(rows) and rows_per_key(rows[request]) > 1.02)
    return "request" if tied and all(tied) else "event"
