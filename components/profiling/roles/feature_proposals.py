"""Propose the feature table: columns of the catalogue, the users and the events, and state features."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from components.contract.features import CLOCK_PREFIX
from components.profiling.roles.actions import ProposedAction, rating_column
from components.profiling.roles.candidate_forms import EventFile, FormGuess
from components.profiling.roles.feature_kinds import Kind, propose_kind
from components.profiling.roles.file_uses import FileUseGuess
from components.profiling.roles.role_scores import constant_share
from components.profiling.samples.column_profile import ColumnProfile
from components.profiling.vocabulary import feature_name, is_item_attribute, is_shopper_attribute, name_score

# Reserved names, and roles.
_TAKEN = ("request", "time", "interactions", "label", "session", "n_candidates", "item", "user", "position", "history", "hour")
_MOST_MISSING = 0.6  # share of missing values of a context column: one that only some actions have leaks the action
_MOST_CONTEXT, _MOST_TABLE = 12, 30
_STEADY = 0.98  # share of items whose rows agree on a value, from which it is an attribute of the item


@dataclass(frozen=True)
class ProposedFeature:
    """An entry of the feature table, with the source of its column and the reason for its kind."""

    entry: dict[str, Any]
    file: str
    column: str
    why: str


@dataclass(frozen=True)
class FeatureTable:
    """The proposed features; `own_items`: the events have item attributes, so their file is also the catalogue."""

    features: tuple[ProposedFeature, ...]
    own_items: bool = False


def propose_features(
    files: Sequence[EventFile],
    form: FormGuess,
    tables: Mapping[str, FileUseGuess],
    actions: Mapping[str, ProposedAction],
    names: Mapping[str, Mapping[str, str]],
) -> FeatureTable:
    """Propose the feature table.

    Args:
        files: the event files that are used.
        form: how candidates are made.
        tables: "items" and "users", if any.
        actions: by name, with their gains.
        names: by file pattern, the column names of files without a header.
    """
    taken = list(_TAKEN)
    made: list[ProposedFeature] = []

    def add(profile: ColumnProfile, file: str, side: str, source: str | None = None, kind: Kind | None = None) -> None:
        proposed = kind or propose_kind(profile)
        if not proposed.kind:
            return
        column = names.get(file, {}).get(profile.name, profile.name)
        name = feature_name(column, taken)
        taken.append(name)
        entry: dict[str, Any] = {"name": name, "kind": proposed.kind, "side": side}
        if column != name:
            entry["column"] = column
        if source:
            entry["source"] = source
        made.append(ProposedFeature({**entry, **proposed.keys}, file, profile.name, proposed.why))

    if form.form == "rows":
        file = form.file or files[0]
        roles = {role.column for role in file.roles.chosen.values()}
        for profile in file.group.profiles.values():
            if profile.name not in roles:
                add(profile, file.group.pattern, "item", "events")
        _add_tables(add, tables)
        return FeatureTable((*_identity(file), *made))
    _add_context(add, files, form, has_users="users" in tables)
    own = not tables.get("items") and _add_own_items(add, files, form)
    _add_tables(add, tables)
    return FeatureTable((*_clock(files), *made, *_past(made, form, actions)), own_items=bool(own))


def _identity(file: EventFile) -> Iterator[ProposedFeature]:
    for role in ("item", "user"):
        column = file.roles.column(role)
        if column is not None:
            yield ProposedFeature({"name": role, "kind": "id", "side": role}, file.group.pattern, column, f"the {role} itself")


def _clock(files: Sequence[EventFile]) -> Iterator[ProposedFeature]:
    for file in files:
        time = file.roles.column("time")
        if time is None:
            continue
        profile = file.group.profiles[time]
        days = profile.time is not None and (
            (profile.time.kind == "format" and not any(part in profile.time.format for part in ("%H", "%I")))
            or (profile.time.kind == "iso" and bool((profile.values.head(200).str.len_chars() <= 10).all()))
        )
        clocked = not days or file.roles.clock is not None
        column = "hour" if clocked else "weekday"
        entry = {"name": column, "kind": "category", "side": "context", "column": f"{CLOCK_PREFIX}{column}"}
        yield ProposedFeature(entry, file.group.pattern, time, "from the request's time")
        return


def _add_context(add: Any, files: Sequence[EventFile], form: FormGuess, *, has_users: bool) -> None:
    """Add columns of event rows that belong to the request or the user."""
    file = form.file or max(files, key=lambda each: each.group.table.size)
    columns = file.group.table.columns
    roles = {role.column for role in file.roles.chosen.values()} | {file.roles.clock}
    item, request = file.roles.column("item"), file.roles.column("request")
    used = 0
    for profile in file.group.profiles.values():
        if profile.name in roles or used >= _MOST_CONTEXT or profile.missing > _MOST_MISSING * profile.rows:
            continue
        if form.shown and profile.name in (form.shown.column, *form.shown.parallel.values()):
            continue
        if is_item_attribute(profile.name) or profile.name.endswith(".#") or name_score(profile.name, "user") >= 0.6:
            continue
        if _is_outcome(profile.name) or profile.name == rating_column(file.group):
            continue
        if item and profile.distinct > 2 and constant_share(columns[item], columns[profile.name]) > _STEADY:
            continue
        if request and form.form == "impressions" and constant_share(columns[request], columns[profile.name]) < 0.9:
            continue
        kind = propose_kind(profile)
        if kind.kind in ("", "vector") or (kind.kind == "id" and profile.distinct_share > 0.3):
            continue
        if is_shopper_attribute(profile.name) and has_users:
            continue
        add(profile, file.group.pattern, "context", kind=kind)
        used += 1
    if form.form == "impressions" and request:
        _add_shown(add, file, request, roles)
    if form.shown:
        for name, column in form.shown.parallel.items():
            pieces = file.group.profiles[column].values.head(300).str.split(form.shown.separator).explode().cast(pl.Float64, strict=False)
            if pieces.null_count() < 0.1 * len(pieces):
                keys = {"log": True} if "price" in name else {}
                add(
                    _renamed(file.group.profiles[column], name),
                    file.group.pattern,
                    "item",
                    "events",
                    Kind("number", "shown with each item", keys),
                )


def _is_outcome(name: str) -> bool:
    """Return whether a name means a value known only after the action: amounts, totals, payment."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    amounts = ("quantity", "revenue", "margin", "rating", "price", "label")
    return any(name_score(name, role) for role in amounts) or bool(
        re.search(r"total|tax|refund|paid|payment|fulfil|financial|discount", words)
    )


def _renamed(profile: ColumnProfile, name: str) -> ColumnProfile:
    return ColumnProfile(**{**profile.__dict__, "name": name})


def _add_shown(add: Any, file: EventFile, request: str, roles: set[str | None]) -> None:
    """Add numbers that vary within a list: values shown with the item."""
    columns = file.group.table.columns
    for profile in file.group.profiles.values():
        varies = profile.name not in roles and profile.is_number and is_item_attribute(profile.name)
        if varies and profile.missing < 0.5 * profile.rows and constant_share(columns[request], columns[profile.name]) < 0.9:
            add(profile, file.group.pattern, "item", "events")


def _add_own_items(add: Any, files: Sequence[EventFile], form: FormGuess) -> bool:
    """Add item attributes of the event rows, where there is no catalogue: values that all rows of an item share."""
    file = form.file or max(files, key=lambda each: each.group.table.size)
    columns, item = file.group.table.columns, file.roles.column("item")
    if item is None:
        return False
    roles = {role.column for role in file.roles.chosen.values()} | {file.roles.clock}
    added = False
    for profile in file.group.profiles.values():
        if profile.name in roles or profile.distinct < 2 or profile.missing > 0.9 * profile.rows:
            continue
        if form.shown and profile.name in (form.shown.column, *form.shown.parallel.values()):
            continue
        steady = constant_share(columns[item], columns[profile.name])
        kind = propose_kind(profile)
        # A price may change and still be the item's; a freely varying value isn't.
        if kind.kind and (steady > _STEADY or (is_item_attribute(profile.name) and steady > 0.5)):
            if form.form == "impressions" and profile.is_number and steady <= _STEADY:
                continue  # Added already, as shown.
            add(profile, file.group.pattern, "item", kind=kind)
            added = True
    return added


def _add_tables(add: Any, tables: Mapping[str, FileUseGuess]) -> None:
    for use, side in (("users", "user"), ("items", "item")):
        guess = tables.get(use)
        if guess is None or guess.property is not None:
            continue
        kept = [p for p in guess.group.profiles.values() if p.name not in (guess.id, guess.valid_from) and propose_kind(p).kind]
        twins = _codes_of_names(kept, guess.group.table.columns)
        for profile in [p for p in kept if p.name not in twins][:_MOST_TABLE]:
            add(profile, guess.group.pattern, side)


def _codes_of_names(profiles: Sequence[ColumnProfile], columns: Mapping[str, pl.Series]) -> set[str]:
    """Find columns of codes that are redundant to a column of words."""
    words = [p for p in profiles if p.content == "text"]
    codes = [p for p in profiles if p.content == "integer" and propose_kind(p).kind != "number"]
    return {code.name for code in codes for word in words if _one_to_one(columns[code.name], columns[word.name])}


def _one_to_one(one: pl.Series, other: pl.Series) -> bool:
    pairs = pl.DataFrame({"one": one, "other": other}).drop_nulls().n_unique()
    return pairs == one.drop_nulls().n_unique() == other.drop_nulls().n_unique()


def _past(features: Sequence[ProposedFeature], form: FormGuess, actions: Mapping[str, ProposedAction]) -> Iterator[ProposedFeature]:
    """Propose state features: the session, the user's history, counts and rates of the item."""

    def entry(why: str, **keys: Any) -> ProposedFeature:
        return ProposedFeature(keys, "", "", why)

    about = [action for action in actions.values() if action.about_item and action.meaning not in ("impression", "remove", "return", "")]
    gaining = sorted((action for action in about if action.gain), key=lambda action: -action.gain)
    yield entry("the running visit", name="session_events", kind="state", side="context", measure="session_events")
    if about:
        fields = [
            "item",
            *[f.entry["name"] for f in features if f.entry["side"] == "item" and f.entry["kind"] == "category" and "source" not in f.entry][
                :2
            ],
        ]
        names = [action.name for action in about][:4]
        yield entry("what the shopper did", name="history", kind="history", side="user", length=30, actions=names, fields=fields)
    for action in gaining[:2]:
        yield entry("", name=f"user_{action.name}s", kind="state", side="user", measure="total", action=action.name)
    yield entry("the item itself", name="item", kind="id", side="item")
    prices = [f.entry["name"] for f in features if f.entry["kind"] == "number" and "price" in f.entry["name"] and f.entry["side"] == "item"]
    if prices and form.form in ("impressions", "list"):
        yield entry("its rank among the others", name=f"{prices[0]}_in_list", kind="list", side="item", of=prices[0])
    impression = next((action.name for action in actions.values() if action.meaning == "impression"), None)
    weakest = min((action for action in about), key=lambda action: action.gain, default=None)
    for action in gaining[:2]:
        yield entry("how often it was taken", name=f"item_{action.name}s", kind="state", side="item", measure="count", action=action.name)
    if weakest and not weakest.gain:
        yield entry(
            "how often it was looked at", name=f"item_{weakest.name}s", kind="state", side="item", measure="count", action=weakest.name
        )
    per = impression if impression and form.form in ("impressions", "list") else None
    if per and gaining:
        name = gaining[-1].name
        yield entry(
            "how often it was taken when shown", name=f"item_{name}_rate", kind="state", side="item", measure="rate", action=name, per=per
        )
    if gaining:
        name = gaining[0].name
        yield entry("how long ago it was taken", name=f"item_{name}_age", kind="state", side="item", measure="recency", action=name)
