"""Recognise the form of the candidates: shown lists, rows of shown items, rows with an outcome, or none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from components.profiling.answers import Answers, CandidateForm
from components.profiling.roles.actions import ProposedAction
from components.profiling.roles.event_roles import EventRoles
from components.profiling.roles.role_scores import rows_per_key
from components.profiling.samples.file_groups import FileGroup
from components.profiling.vocabulary import plain_name

_LIST_NAMES = ("impressions", "items", "shown", "results", "candidates", "list", "productlist", "slate", "recommendations", "displayed")


@dataclass(frozen=True)
class EventFile:
    """A group of event files with its roles and actions."""

    group: FileGroup
    roles: EventRoles
    actions: tuple[ProposedAction, ...]


@dataclass(frozen=True)
class ShownList:
    """A column with the shown list: separator, the action of its rows, and parallel columns by feature name."""

    column: str
    separator: str
    action: str
    parallel: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FormGuess:
    """The form of the candidates, its certainty and reason; `file` has the impressions, or the rows with an outcome.

    `request_by_time`: rows of one moment are a list, as there is no id of it.
    """

    form: CandidateForm
    score: float
    why: str
    file: EventFile | None = None
    shown: ShownList | None = None
    request_by_time: bool = False


def guess_form(files: Sequence[EventFile], known_items: pl.Series | None, answers: Answers) -> FormGuess:
    """Guess the form of the candidates of these files; `known_items`: ids of the catalogue, if there is one."""
    options = [*_outcomes(files), *_lists(files, known_items), *_impressions(files)]
    if any(all(file.roles.column(role) for role in ("time", "user", "item")) for file in files):
        options.append(FormGuess("sampling", 0.6, "nothing says what was shown: other items are sampled"))
    if answers.candidates:
        options = [option for option in options if option.form == answers.candidates] or [FormGuess(answers.candidates, 1.0, "as you say")]
    return max(options, key=lambda option: option.score, default=FormGuess("sampling", 0.1, "nothing else is possible"))


def _outcomes(files: Sequence[EventFile]) -> list[FormGuess]:
    forms = []
    for file in files:
        label, request = file.roles.chosen.get("label"), file.roles.column("request")
        if label is None:
            continue
        complete = all(file.roles.column(role) for role in ("time", "user", "item"))
        if complete and request and rows_per_key(file.group.table.columns[request]) >= 1.5:
            forms.append(
                FormGuess("impressions", 0.95 * label.score, f"rows share {request!r}, and {label.column!r} says what was taken", file)
            )
        else:
            forms.append(FormGuess("rows", 0.9 * label.score, f"each row has its outcome in {label.column!r}", file))
    return forms


def _lists(files: Sequence[EventFile], known_items: pl.Series | None) -> list[FormGuess]:
    forms = []
    for file in files:
        item, action = file.roles.column("item"), file.roles.column("action")
        ids = [known_items] if known_items is not None else []
        ids += [file.group.table.columns[item]] if item else []
        for name, profile in file.group.profiles.items():
            if not profile.separator or profile.mean_parts < 2.5 or name in (item, action):
                continue
            among = max((_among(profile.values, profile.separator, each) for each in ids), default=0.0)
            named = plain_name(name) in _LIST_NAMES
            if among < 0.5 and not (named and among > 0.1):
                continue
            words = _action_of_lists(file, name)
            if words is None or item is None:
                continue
            parallel = _parallel(file, name, profile.separator)
            score = min(0.5 + 0.45 * among + 0.1 * named, 0.98)
            why = f"{name!r} holds lists of about {profile.mean_parts:.0f} items, {among:.0%} of them known ones"
            forms.append(FormGuess("list", score, why, file, ShownList(name, profile.separator, words, parallel)))
    return forms


def _among(values: pl.Series, separator: str, ids: pl.Series) -> float:
    pieces = values.head(300).str.split(separator).explode().drop_nulls()
    return float(pieces.is_in(ids.drop_nulls().unique().implode()).mean() or 0) if len(pieces) else 0.0  # type: ignore[arg-type]


def _action_of_lists(file: EventFile, column: str) -> str | None:
    """Return the action whose rows have lists."""
    action = file.roles.column("action")
    if action is None:
        return file.actions[0].name
    lists = file.group.table.columns[column]
    words = file.group.table.columns[action].filter(lists.is_not_null()).value_counts(sort=True)
    word = words.to_series(0)[0] if len(words) else None
    return next((each.name for each in file.actions if word in each.values), None)


def _parallel(file: EventFile, column: str, separator: str) -> dict[str, str]:
    """Find columns whose values have as many parts as the list."""
    frame = pl.DataFrame(file.group.table.columns).filter(pl.col(column).is_not_null()).head(500)
    length = frame[column].str.count_matches(separator, literal=True)
    forms = {}
    for name, profile in file.group.profiles.items():
        if name != column and profile.content == "text":
            other = frame[name].str.count_matches(separator, literal=True)
            if float((other == length).fill_null(value=False).mean() or 0) > 0.95 and bool((length > 0).any()):  # type: ignore[arg-type]
                forms[plain_name(name).removesuffix("s")] = name
    return forms


def _impressions(files: Sequence[EventFile]) -> list[FormGuess]:
    forms = []
    for file in files:
        shown = [action for action in file.actions if action.meaning == "impression"]
        request = file.roles.column("request")
        if not shown:
            continue
        if request is None:
            forms += _lists_by_time(file, shown[0])
            continue
        shared = rows_per_key(_of_action(file, shown[0], file.group.table.columns[request]))
        score = 0.9 if shared >= 1.5 else 0.5
        forms.append(FormGuess("impressions", score, f"{shown[0].name} rows share {request!r}, {shared:.1f} items each", file))
    return forms


def _lists_by_time(file: EventFile, shown: ProposedAction) -> list[FormGuess]:
    """Recognise lists by shopper and time, where there is no id of them."""
    user, time = file.roles.column("user"), file.roles.column("time")
    if user is None or time is None:
        return []
    columns = file.group.table.columns
    keys = pl.select(pl.concat_str(pl.lit(columns[user]), pl.lit(columns[time]), separator=" ")).to_series()
    shared = rows_per_key(_of_action(file, shown, keys))
    why = f"a shopper's {shown.name} rows of one time are a list, {shared:.1f} items each"
    return [FormGuess("impressions", 0.8, why, file, request_by_time=True)] if shared >= 2 else []


def _of_action(file: EventFile, action: ProposedAction, values: pl.Series) -> pl.Series:
    column = file.roles.column("action")
    if column is None:
        return values
    return values.filter(file.group.table.columns[column].is_in(list(action.values)).fill_null(value=False))


def labelled_rows(file: EventFile, gains: Mapping[str, float]) -> pl.DataFrame:
    """Return the sampled rows of actions with a gain."""
    frame = pl.DataFrame(file.group.table.columns)
    column = file.roles.column("action")
    if column is None:
        return frame if gains.get(file.actions[0].name) else frame.clear()
    words = [word for action in file.actions if gains.get(action.name) for word in action.values]
    return frame.filter(pl.col(column).is_in(words))
