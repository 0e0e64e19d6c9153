"""List a draft's guesses, as rows of a table."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath

from components.profiling.drafts.guesses import Guess
from components.profiling.roles.actions import ProposedAction
from components.profiling.roles.candidate_forms import EventFile, FormGuess
from components.profiling.roles.event_roles import EventRoles
from components.profiling.roles.feature_proposals import FeatureTable
from components.profiling.roles.file_uses import FileUseGuess
from components.profiling.samples.file_groups import FileGroup


def file_guesses(uses: Sequence[FileUseGuess], files: Sequence[EventFile]) -> list[Guess]:
    """List the guesses of each file: its format, its use, and its roles."""
    made: list[Guess] = []
    for guess in uses:
        name, table = guess.group.name, guess.group.table
        count = f"{len(guess.group.paths)} files, " if len(guess.group.paths) > 1 else ""
        how = [
            table.format if table.format != "csv" else _dialect_text(guess.group),
            table.compression,
            table.encoding if table.encoding != "utf-8" else None,
        ]
        made.append(Guess(name, "format", count + ", ".join(each for each in how if each), 0.95, "by its first bytes and lines"))
        made.append(Guess(name, "holds", guess.use, guess.score, guess.why))
        if guess.use in ("items", "users") and guess.id:
            made.append(Guess(name, "id", guess.id, guess.score, guess.why))
            if guess.valid_from:
                made.append(Guess(name, "valid from", guess.valid_from, 0.7, "an id has a row for each time"))
        for file in files:
            if file.group is guess.group:
                made += _role_guesses(file.group, file.roles)
    return made


def other_guesses(form: FormGuess, actions: Mapping[str, ProposedAction], features: FeatureTable) -> list[Guess]:
    """List the guesses of candidates, actions and features."""
    made = [Guess("all", "candidates", form.form, form.score, form.why)]
    for action in actions.values():
        gain = f"label {action.gain:g}" if action.gain else "no label"
        words = f" ({', '.join(action.values)})" if action.values and action.values != (action.name,) else ""
        made.append(Guess("all", f"action {action.name}{words}", gain, action.score, action.why))
    made += [
        Guess(PurePath(f.file).name, f.column, f"feature {f.entry['name']}: {f.entry['kind']}", 0.7, f.why)
        for f in features.features
        if f.column
    ]
    return made


def _role_guesses(group: FileGroup, roles: EventRoles) -> list[Guess]:
    made = [Guess(group.name, role, score.column, score.score, score.why) for role, score in roles.chosen.items()]
    return made + ([Guess(group.name, "time of day", roles.clock, 0.7, "added to the day")] if roles.clock else [])


def _dialect_text(group: FileGroup) -> str:
    dialect = group.table.dialect
    if dialect is None:
        return ""
    text = f"csv by {dialect.separator!r}"
    text += "" if dialect.header else ", no header"
    text += "" if dialect.quote else ", no quotes"
    return text + (f", escape {dialect.escape!r}" if dialect.escape else "")
