"""Build the mapping of a drafted dataset file."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.contract.features import CLOCK_PREFIX
from components.profiling.answers import Answers
from components.profiling.drafts.source_keys import file_keys, time_keys, zero_keys
from components.profiling.roles.actions import ProposedAction, rating_column
from components.profiling.roles.candidate_forms import EventFile, FormGuess
from components.profiling.roles.event_files import group_by
from components.profiling.roles.feature_proposals import FeatureTable
from components.profiling.roles.file_uses import FileUseGuess

_ROLES = ("time", "user", "item", "action", "request", "session", "position", "order", "label", "revenue", "quantity", "margin")
_TOP = 0.8  # share of the highest rating from which a rating is a like


@dataclass(frozen=True)
class Parts:
    """The parts of a dataset file.

    `names`: by file pattern, the column names of files without a header. `folder`: base of relative paths.
    """

    name: str
    files: Sequence[EventFile]
    form: FormGuess
    tables: Mapping[str, FileUseGuess]
    actions: Mapping[str, ProposedAction]
    features: FeatureTable
    names: Mapping[str, Mapping[str, str]]
    answers: Answers
    folder: str

    def used_columns(self, *sides: str) -> list[str]:
        """List the columns of the features of these sides; without sides, those of all roles and features."""
        roles = set() if sides else {role.column for file in self.files for role in file.roles.chosen.values()}
        return sorted(roles | {f.column for f in self.features.features if not sides or f.entry["side"] in sides})

    def renamed(self, file: EventFile, column: str) -> str:
        """Return a column's name in the dataset file."""
        return self.names[file.group.pattern].get(column, column)


def dataset_mapping(parts: Parts) -> tuple[dict[str, Any], dict[str, tuple[str, ...]]]:
    """Build the dataset file's mapping, and comments by the key they precede."""
    comments: dict[str, tuple[str, ...]] = {}
    events = [source for file in parts.files for source in _sources(file, parts)]
    dataset: dict[str, Any] = {"name": parts.name, "seed": 1, "events": events}
    for use in ("items", "users"):
        if guess := parts.tables.get(use):
            dataset[use] = _table(guess, parts)
    if parts.features.own_items:
        dataset["items"] = _own_items(parts)
        comments["items"] = ("There is no catalogue: what the events say of a product, from each event on.",)
    actions = _declared(parts, events)
    dataset["actions"] = {action.name: _action(action, actions) for action in actions.values()}
    dataset["candidates"] = _candidates(parts)
    by_hash = parts.form.form == "rows" and parts.files[0].roles.column("time") is None
    dataset["windows"] = {"by": "hash"} if by_hash else {}
    dataset["windows"] |= {"eval": "15%", "test": "15%"}
    dataset["features"] = [feature.entry for feature in parts.features.features]
    context = [f.entry for f in parts.features.features if f.entry["side"] == "context" and f.entry["kind"] == "category"]
    if slices := [entry["name"] for entry in context if not entry.get("column", "").startswith(CLOCK_PREFIX)][:2]:
        dataset["slices"] = slices
    return dataset, comments


def _declared(parts: Parts, events: Sequence[Mapping[str, Any]]) -> dict[str, ProposedAction]:
    """Add the actions that no word of the log names: returns by a negative quantity, impressions of lists."""
    actions = dict(parts.actions)
    if any(source.get("action") == "return" for source in events):
        actions.setdefault("return", ProposedAction("return", (), 0.0, True, "return", 0.8, "a negative quantity"))
    if parts.form.form == "list" and not any(action.meaning == "impression" for action in actions.values()):
        return {"impression": ProposedAction("impression", (), 0.0, True, "impression", 0.9, "counted of each list"), **actions}
    return actions


def _own_items(parts: Parts) -> dict[str, Any]:
    """Use the events as the catalogue: a product's attributes are those of its newest event before the request."""
    file = parts.form.file or max(parts.files, key=lambda each: each.group.table.size)
    item, time = file.roles.column("item") or "", file.roles.column("time")
    keys = file_keys(file.group, parts.folder, parts.names[file.group.pattern], used=[*parts.used_columns("item"), item, time or ""])
    table = {**keys, "id": parts.renamed(file, item)}
    if time is not None:
        table |= {"valid_from": parts.renamed(file, time), **time_keys(file.group, time, day_first=parts.answers.day_first)}
    return table


def _sources(file: EventFile, parts: Parts) -> list[dict[str, Any]]:
    """Build the sources of an event file: one, or one for each action of its rows."""
    roles, profiles, form = file.roles, file.group.profiles, parts.form
    names = parts.names[file.group.pattern]
    source = file_keys(file.group, parts.folder, names, used=parts.used_columns())
    columns: dict[str, Any] = {role: parts.renamed(file, roles.chosen[role].column) for role in _ROLES if role in roles.chosen}
    source["columns"] = columns
    if time := roles.column("time"):
        source |= time_keys(file.group, time, day_first=parts.answers.day_first)
        if roles.clock:
            columns["time"] = [columns["time"], parts.renamed(file, roles.clock)]
            if roles.clock_unit:
                source["time_unit"] = ["auto", roles.clock_unit]
    user = roles.column("user")
    if user and profiles[user].missing and form.form != "rows":
        source["missing_user"] = "guest"
    if form.form == "rows":
        return [source]
    if user and (zeros := zero_keys(file.group, user)):
        source["null_values"] = {**source.get("null_values", {}), parts.renamed(file, user): zeros[user]}
    if label := roles.column("label"):
        return _by_label(file, source, _is_positive(file, label, names))
    if form.request_by_time and form.file and form.file.group is file.group:
        return _shown_by_time(file, source)
    if "action" in columns:
        return [source]
    return _by_amount(file, {**source, "action": file.actions[0].name}, names)


def _by_label(file: EventFile, source: dict[str, Any], condition: str) -> list[dict[str, Any]]:
    """Build two sources: the rows that were shown, and those of them that were taken."""
    shown = {role: column for role, column in source["columns"].items() if role != "label"}
    taken = {role: column for role, column in shown.items() if role != "position"}
    name = file.actions[-1].name
    return [{**source, "columns": shown, "action": "impression"}, {**source, "columns": taken, "where": condition, "action": name}]


def _shown_by_time(file: EventFile, source: dict[str, Any]) -> list[dict[str, Any]]:
    """Build two sources: the rows that show items, grouped by time, and the others, which name no list."""
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
    """Filter by amount: ratings below a like are left out, and rows with a negative quantity are returns."""
    rating, quantity = rating_column(file.group), file.roles.column("quantity")
    if rating is not None and quantity is None:
        # Stars or half stars, up to five, ten or a hundred: from four of five on is a like.
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


def _table(guess: FileUseGuess, parts: Parts) -> dict[str, Any]:
    names = parts.names[guess.group.pattern]
    table = file_keys(guess.group, parts.folder, names, used=[*parts.used_columns("item", "user"), guess.id or "", guess.valid_from or ""])
    table["id"] = names.get(guess.id or "", guess.id)
    if guess.valid_from:
        table["valid_from"] = names.get(guess.valid_from, guess.valid_from)
        table |= time_keys(guess.group, guess.valid_from, day_first=parts.answers.day_first)
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


def _candidates(parts: Parts) -> dict[str, Any]:
    form = parts.form
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
    return {"from": "sampling", "group": group_by(parts.files, parts.actions), "negatives": 9}
