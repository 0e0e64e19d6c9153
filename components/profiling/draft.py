"""Draft a dataset file from samples of a shop's files."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any

import polars as pl

from components.contract.errors import InputError
from components.profiling.actions import ProposedAction, merged, propose_actions, rating_column, with_gains
from components.profiling.answers import Answers, Question
from components.profiling.candidate_forms import EventFile, FormGuess, guess_form, labelled_rows
from components.profiling.event_roles import EventRoles, assign_roles
from components.profiling.feature_proposals import FeatureTable, propose_features
from components.profiling.file_groups import FileGroup
from components.profiling.file_uses import FileUseGuess, guess_uses
from components.profiling.guesses import Guess
from components.profiling.role_scores import RoleScore, rows_per_key
from components.profiling.source_keys import chosen_format, file_keys, time_keys
from components.profiling.vocabulary import action_of, feature_name

_ROLES = ("time", "user", "item", "action", "request", "session", "position", "order", "label", "revenue", "quantity", "margin")
_BASKET = 1.2  # labelled rows a shopper and moment, from which what was taken at once is one request
_DOUBTFUL = 0.45  # a role below it is asked about
_SURE_ID = 0.7
_UNKNOWN = "nothing says what its rows are; say --file FILE=events and --action NAME=FILE:GAIN to use them"
_TOP = 0.8  # of the highest rating, from which one is a like


@dataclass(frozen=True)
class Draft:
    """A dataset file as a mapping, what was taken for what, what couldn't be known, and comments by the part that they are above."""

    dataset: dict[str, Any]
    guesses: tuple[Guess, ...]
    questions: tuple[Question, ...] = ()
    comments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def draft_dataset(groups: Sequence[FileGroup], answers: Answers, *, folder: str) -> Draft:
    """Draft the dataset file of these files; relative paths are from `folder`.

    Raises:
        InputError: no file holds events, or a role or a file of the answers isn't there.
    """
    _check_answers(groups, answers)
    uses = guess_uses(groups, answers)
    tables = {use: guess for use in ("items", "users") for guess in uses if guess.use == use}
    files = [_event_file(guess.group, list(tables.values()), answers) for guess in uses if guess.use == "events"]
    questions = list(_use_questions(uses, answers))
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
        kept = [_without_weak_ids(file) for file in kept if file is form.file] or kept
    kept, unknown = _meant(kept, answers)
    uses = [replace(guess, use="ignore", score=0.4, why=_UNKNOWN) if guess.group.pattern in unknown else guess for guess in uses]
    kept = [_as_label_file(file, form) for file in kept]
    form = replace(form, file=_same_file(kept, form))
    actions = merged(
        with_gains(merged([action for file in kept for action in file.actions]).values(), shown=form.form in ("impressions", "list"))
    )
    files = [_with_basket(file, form, actions) for file in kept]
    form = replace(form, file=_same_file(files, form))
    files = _without_loose_requests(files, form, actions)
    names = {guess.group.pattern: _column_names(guess, files) for guess in uses}
    features = propose_features(files, form, tables, actions, names)
    questions += _questions(files, actions, form, answers)
    dataset, comments = _dataset(files, form, tables, actions, features, names, answers, folder)
    guesses = (*_file_guesses(uses, files), *_guesses(files, form, actions, features))
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
    """The files with the roles that candidates of this form need; of the others, what they lack."""
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
    """The files whose rows are of a known action; the others only where all are, or where somebody said what they are."""
    known = [file for file in files if any(action.score >= _DOUBTFUL for action in file.actions) or file.group.name in answers.uses]
    kept = known or list(files)
    return kept, {file.group.pattern for file in files if file not in kept}


def _same_file(files: Sequence[EventFile], form: FormGuess) -> EventFile | None:
    return next((file for file in files if form.file and file.group is form.file.group), None)


def _without_weak_ids(file: EventFile) -> EventFile:
    """Of rows with an outcome an item or a shopper isn't needed: only one that is called so is taken for it."""
    chosen = {role: score for role, score in file.roles.chosen.items() if role not in ("item", "user") or score.score >= _SURE_ID}
    return replace(file, roles=replace(file.roles, chosen=chosen))


def _without_loose_requests(files: Sequence[EventFile], form: FormGuess, actions: Mapping[str, ProposedAction]) -> list[EventFile]:
    """Where each row is a request of its own, an id that ties some of the rows says nothing."""
    if form.form != "sampling" or _group_by(files, actions) == "request":
        return list(files)
    loose = ({role: score for role, score in file.roles.chosen.items() if role != "request"} for file in files)
    return [replace(file, roles=replace(file.roles, chosen=chosen)) for file, chosen in zip(files, loose, strict=True)]


def _as_label_file(file: EventFile, form: FormGuess) -> EventFile:
    """Where each shown row says whether it was taken, its actions are the impression and what the label means."""
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


def _with_basket(file: EventFile, form: FormGuess, actions: Mapping[str, ProposedAction]) -> EventFile:
    """What a shopper took at one moment is a request, where no column ties it."""
    user, time = file.roles.column("user"), file.roles.column("time")
    if form.form != "sampling" or file.roles.column("request") or not user or not time or file.roles.clock:
        return file
    rows = labelled_rows(file, {name: action.gain for name, action in actions.items()})
    if not len(rows) or rows_per_key(rows.select(pl.concat_str(user, time, separator="\x00", ignore_nulls=False)).to_series()) < _BASKET:
        return file
    request = RoleScore(time, 0.7, "a shopper's rows of one time are what was taken together")
    return replace(file, roles=replace(file.roles, chosen={**file.roles.chosen, "request": request}))


def _column_names(guess: FileUseGuess, files: Sequence[EventFile]) -> dict[str, str]:
    """Names for the columns of a file that has none: by the role they play."""
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


def _dataset(
    files: Sequence[EventFile],
    form: FormGuess,
    tables: Mapping[str, FileUseGuess],
    actions: Mapping[str, ProposedAction],
    features: FeatureTable,
    names: Mapping[str, Mapping[str, str]],
    answers: Answers,
    folder: str,
) -> tuple[dict[str, Any], dict[str, tuple[str, ...]]]:
    comments: dict[str, tuple[str, ...]] = {}
    used = {f.column for f in features.features} | {role.column for file in files for role in file.roles.chosen.values()}
    events: list[dict[str, Any]] = []
    declared = dict(actions)
    for file in files:
        sources = _sources(file, form, names[file.group.pattern], answers, folder, sorted(used))
        if any(source.get("action") == "return" for source in sources):
            declared.setdefault("return", ProposedAction("return", (), 0.0, True, "return", 0.8, "a negative quantity"))
        events += sources
    if form.form == "list" and not any(action.meaning == "impression" for action in declared.values()):
        declared = {"impression": ProposedAction("impression", (), 0.0, True, "impression", 0.9, "counted of each list"), **declared}
    dataset: dict[str, Any] = {"name": answers.name or _name(files[0].group, folder), "seed": 1, "events": events}
    for use in ("items", "users"):
        if (guess := tables.get(use)) and form.form != "rows" or (guess and _has_role(files, "item" if use == "items" else "user")):
            dataset[use] = _table(guess, names[guess.group.pattern], answers, folder, sorted(used))
    if features.own_items and form.form != "rows":
        file = form.file or max(files, key=lambda each: each.group.table.size)
        keys = file_keys(file.group, folder, names[file.group.pattern], used=sorted(used))
        item = file.roles.column("item") or ""
        dataset["items"] = {**keys, "id": names[file.group.pattern].get(item, item)}
        comments["items"] = ("No catalogue was there: what the events say of a product, its newest row.",)
    dataset["actions"] = {action.name: _action(action, declared) for action in declared.values()}
    dataset["candidates"] = _candidates(files, form, actions)
    if form.form == "rows" and files[0].roles.column("time") is None:
        dataset["windows"] = {"by": "hash", "eval": "15%", "test": "15%"}
    else:
        dataset["windows"] = {"eval": "15%", "test": "15%"}
    dataset["features"] = [feature.entry for feature in features.features]
    slices = [
        f.entry["name"]
        for f in features.features
        if f.entry["side"] == "context" and f.entry["kind"] == "category" and f.entry["name"] not in ("hour", "weekday")
    ]
    if slices[:2]:
        dataset["slices"] = slices[:2]
    return dataset, comments


def _has_role(files: Sequence[EventFile], role: str) -> bool:
    return all(file.roles.column(role) for file in files)


def _sources(
    file: EventFile, form: FormGuess, names: Mapping[str, str], answers: Answers, folder: str, used: Sequence[str]
) -> list[dict[str, Any]]:
    roles, profiles = file.roles, file.group.profiles
    keys = file_keys(file.group, folder, names, used=used)
    columns = {role: names.get(roles.chosen[role].column, roles.chosen[role].column) for role in _ROLES if role in roles.chosen}
    times: dict[str, Any] = {}
    if time := roles.column("time"):
        times = time_keys(file.group, time, day_first=answers.day_first)
        if roles.clock:
            columns["time"] = [columns["time"], names.get(roles.clock, roles.clock)]  # type: ignore[assignment]
            if roles.clock_unit:
                times["time_unit"] = ["auto", roles.clock_unit]
    source: dict[str, Any] = {**keys, "columns": columns, **times}
    user = roles.column("user")
    if user and profiles[user].missing and form.form != "rows":
        source["missing_user"] = "guest"
    if label := roles.column("label"):
        if form.form == "rows":
            return [source]
        plain = {**source, "columns": {role: column for role, column in columns.items() if role != "label"}}
        taken = {role: column for role, column in plain["columns"].items() if role != "position"}
        condition = _is_positive(file, label, names)
        return [{**plain, "action": "impression"}, {**plain, "columns": taken, "where": condition, "action": file.actions[-1].name}]
    if form.request_by_time and form.file and form.file.group is file.group:
        return _shown_by_time(file, source, names)
    if "action" not in columns:
        source["action"] = file.actions[0].name
        return _by_amount(file, source, names)
    return [source]


def _shown_by_time(file: EventFile, source: dict[str, Any], names: Mapping[str, str]) -> list[dict[str, Any]]:
    """The rows that show items, tied by their time, and the others, which name no list."""
    columns = dict(source["columns"])
    position = {"position": columns.pop("position")} if "position" in columns else {}
    shown = next(action for action in file.actions if action.meaning == "impression")
    words = ", ".join(f"'{value}'" for value in shown.values)
    if "action" not in columns:
        return [{**source, "columns": {**columns, "request": columns["time"], **position}, "action": shown.name}]
    action = _sql(columns["action"])
    plain = {role: column for role, column in columns.items() if role != "action"}
    return [
        {**source, "columns": {**plain, "request": columns["time"], **position}, "where": f"{action} IN ({words})", "action": shown.name},
        {**source, "columns": columns, "where": f"{action} NOT IN ({words})"},
    ]


def _by_amount(file: EventFile, source: dict[str, Any], names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Of purchases alone: ratings below a like aren't one, and rows of a negative quantity are returns."""
    rating, quantity = rating_column(file.group), file.roles.column("quantity")
    if rating is not None and quantity is None:
        # Half stars or whole ones, of five, ten or a hundred: four of five and above is a like.
        least = _TOP * file.group.profiles[rating].highest
        return [{**source, "where": f"CAST({_sql(names.get(rating, rating))} AS DOUBLE) >= {least:g}"}]
    if quantity is not None and file.group.profiles[quantity].lowest < 0 and source["action"] == "purchase":
        amount = f"CAST({_sql(names.get(quantity, quantity))} AS DOUBLE)"
        back = {role: column for role, column in source["columns"].items() if role != "request"}
        return [{**source, "where": f"{amount} > 0"}, {**source, "columns": back, "where": f"{amount} < 0", "action": "return"}]
    return [source]


def _is_positive(file: EventFile, label: str, names: Mapping[str, str]) -> str:
    word = next(value for value in file.group.profiles[label].values.unique().to_list() if value.lower() in ("1", "1.0", "true"))
    name = _sql(names.get(label, label))
    if file.group.table.format == "csv":
        return f"{name} = '{word}'"
    return name if word.lower() == "true" else f"{name} = 1"


def _sql(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_]\w*", name) else f'"{name}"'


def _table(guess: FileUseGuess, names: Mapping[str, str], answers: Answers, folder: str, used: Sequence[str]) -> dict[str, Any]:
    keys = file_keys(guess.group, folder, names, used=used)
    table = {**keys, "id": names.get(guess.id or "", guess.id)}
    if guess.valid_from:
        table["valid_from"] = names.get(guess.valid_from, guess.valid_from)
        table |= time_keys(guess.group, guess.valid_from, day_first=answers.day_first)
    if guess.property and guess.value:
        table |= {"property": guess.property, "value": guess.value}
    return table


def _action(action: ProposedAction, actions: Mapping[str, ProposedAction]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if action.values and action.values != (action.name,):
        made["values"] = list(action.values)
    if action.gain:
        made["label"] = int(action.gain) if action.gain == int(action.gain) else action.gain
    if not action.about_item:
        made["item"] = False
    if action.meaning == "return" and (bought := next((a.name for a in actions.values() if a.meaning == "purchase" and a.gain), None)):
        made["takes_back"] = bought
    return made


def _candidates(files: Sequence[EventFile], form: FormGuess, actions: Mapping[str, ProposedAction]) -> dict[str, Any]:
    match form.form:
        case "impressions":
            name = next((a.name for a in (form.file.actions if form.file else ()) if a.meaning == "impression"), "impression")
            return {"from": "impressions"} | ({"action": name} if name != "impression" else {})
        case "list" if form.shown:
            made: dict[str, Any] = {"from": "list", "action": form.shown.action, "items": form.shown.column}
            if form.shown.separator != "|":
                made["separator"] = form.shown.separator
            return made | ({"columns": form.shown.parallel} if form.shown.parallel else {})
        case "rows":
            return {"from": "rows"}
    return {"from": "sampling", "group": _group_by(files, actions), "negatives": 9}


def _group_by(files: Sequence[EventFile], actions: Mapping[str, ProposedAction]) -> str:
    """Whether what was taken together is known: all labelled rows have a request, and some share one."""
    gains = {name: action.gain for name, action in actions.items()}
    tied = []
    for file in files:
        rows, request = labelled_rows(file, gains), file.roles.column("request")
        if len(rows):
            tied.append(request is not None and rows[request].null_count() < 0.05 * len(rows) and rows_per_key(rows[request]) > 1.02)
    return "request" if tied and all(tied) else "event"


def _name(group: FileGroup, folder: str) -> str:
    parent = PurePath(os.path.abspath(group.pattern)).parent.name
    return feature_name(parent or PurePath(folder).name or "shop")


def _use_questions(uses: Sequence[FileUseGuess], answers: Answers) -> list[Question]:
    return [
        Question(
            ("use", guess.group.name),
            f"What does {guess.group.name} hold? ({', '.join(list(guess.group.profiles)[:6])})",
            (guess.use, *(use for use in ("events", "items", "users", "ignore") if use != guess.use)),
            guess.use,
            f"--file {guess.group.name}=USE",
        )
        for guess in uses
        if guess.score < _DOUBTFUL and guess.group.name not in answers.uses
    ]


def _questions(files: Sequence[EventFile], actions: Mapping[str, ProposedAction], form: FormGuess, answers: Answers) -> list[Question]:
    asked: list[Question] = []
    for file in files:
        for role in ("time", "user", "item"):
            score = file.roles.chosen.get(role)
            rivals = file.roles.rivals.get(role, ())
            if score is None or score.score == 1.0 or (score.score >= _DOUBTFUL and not rivals):
                continue
            others = [name for name in (*rivals, *file.group.profiles) if name != score.column]
            asked.append(
                Question(
                    ("role", file.group.name, role),
                    f"{file.group.name}: which column is the {role}? ({score.why})",
                    (score.column, *dict.fromkeys(others)),
                    score.column,
                    f"--role {file.group.name}:{role}=COLUMN",
                )
            )
        time = file.roles.column("time")
        notation = file.group.profiles[time].time if time else None
        if notation and notation.other_format and answers.day_first is None:
            example = file.group.profiles[time or ""].values[0]
            first = "day" if notation.format.find("%d") < notation.format.find("%m") else "month"
            other = "month" if first == "day" else "day"
            asked.append(
                Question(
                    ("day_first",),
                    f"{file.group.name}: in {example}, which comes first?",
                    (first, other),
                    None,
                    "--day-first or --month-first",
                )
            )
    for action in actions.values():
        if action.score < _DOUBTFUL and form.form != "rows":
            word = action.values[0] if action.values else files[0].group.name
            default = f"{action.name}:{action.gain:g}"
            meant = tuple(each for each in ("purchase:4", "cart:2", "click:1", "view:0", "impression:0") if each != default)
            asked.append(
                Question(
                    ("action", word),
                    f"What does the action {word!r} mean? NAME:GAIN",
                    (default, *meant),
                    default,
                    f"--action NAME={word}:GAIN",
                )
            )
    return asked


def _file_guesses(uses: Sequence[FileUseGuess], files: Sequence[EventFile]) -> list[Guess]:
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


def _dialect_text(group: FileGroup) -> str:
    dialect = group.table.dialect
    if dialect is None:
        return ""
    text = f"csv by {dialect.separator!r}"
    text += "" if dialect.header else ", no header"
    text += "" if dialect.quote else ", no quotes"
    return text + (f", escape {dialect.escape!r}" if dialect.escape else "")


def _role_guesses(group: FileGroup, roles: EventRoles) -> list[Guess]:
    made = [Guess(group.name, role, score.column, score.score, score.why) for role, score in roles.chosen.items()]
    return made + ([Guess(group.name, "time of day", roles.clock, 0.7, "added to the day")] if roles.clock else [])


def _guesses(files: Sequence[EventFile], form: FormGuess, actions: Mapping[str, ProposedAction], features: FeatureTable) -> list[Guess]:
    made = [Guess("all", "candidates", form.form, form.score, form.why)]
    for action in actions.values():
        gain = f"label {action.gain:g}" if action.gain else "no label"
        words = f" ({', '.join(action.values)})" if action.values and action.values != (action.name,) else ""
        made.append(Guess("all", f"action {action.name}{words}", gain, action.score, action.why))
    for feature in features.features:
        if feature.column:
            made.append(
                Guess(
                    PurePath(feature.file).name,
                    feature.column,
                    f"feature {feature.entry['name']}: {feature.entry['kind']}",
                    0.7,
                    feature.why,
                )
            )
    return made
