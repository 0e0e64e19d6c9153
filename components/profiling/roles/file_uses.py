"""Recognise the files of events, items and users, and the columns that join them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import polars as pl

from components.profiling.answers import NO_COLUMN, Answers, FileUse
from components.profiling.roles.role_scores import label_scores, time_scores
from components.profiling.samples.column_profile import ColumnProfile
from components.profiling.samples.file_groups import FileGroup
from components.profiling.vocabulary import is_item_attribute, is_shopper_attribute, name_score, plain_name

_ID_SHARE = 0.999  # share of distinct values of a table's id
_TABLE_NAMES = {
    "items": ("item", "product", "article", "catalog", "movie", "news", "sku", "goods", "content", "book", "song", "track", "hotel", "ads"),
    "users": ("user", "customer", "shopper", "visitor", "member", "client", "account", "people", "person", "kunden"),
}
_EVENT_NAMES = (
    "event",
    "log",
    "click",
    "view",
    "order",
    "transaction",
    "purchase",
    "session",
    "rating",
    "interaction",
    "behavior",
    "train",
)


@dataclass(frozen=True)
class FileUseGuess:
    """The guessed use of a group of files.

    `id`: a table's column of ids. `valid_from`: its column of the time from which a row holds.
    `property`, `value`: of a long table.
    """

    group: FileGroup
    use: FileUse
    score: float
    why: str
    id: str | None = None
    valid_from: str | None = None
    property: str | None = None
    value: str | None = None


def guess_uses(groups: Sequence[FileGroup], answers: Answers) -> list[FileUseGuess]:
    """Guess each group's use: events, items, users, or none; of two tables for one use the better one keeps it."""
    events = [group for group in groups if _event_score(group) >= 0.5]
    if not events and groups:
        events = [max(groups, key=_event_score)]
    guesses = [_guess(group, events, answers) for group in groups]
    for use in ("items", "users"):
        rivals = sorted((guess for guess in guesses if guess.use == use), key=lambda guess: -guess.score)
        for extra in rivals[1:]:
            at = guesses.index(extra)
            why = f"another table is the better one of the {use}: a dataset file has one; join them to use this one too"
            guesses[at] = FileUseGuess(extra.group, "ignore", 0.6, why)
    return guesses


def overlap(ids: pl.Series, values: pl.Series) -> float:
    """Return the share of the distinct values that are among the ids."""
    there = _plain(values.drop_nulls().unique())
    return float(there.is_in(_plain(ids.drop_nulls().unique()).implode()).mean() or 0) if len(there) else 0.0  # type: ignore[arg-type]


def _plain(ids: pl.Series) -> pl.Series:
    """Normalize ids as ingestion does: without the `.0` of a column with missing values."""
    return ids.str.strip_chars().str.replace(r"^(\d+)\.0+$", "${1}")


def _guess(group: FileGroup, events: Sequence[FileGroup], answers: Answers) -> FileUseGuess:
    said = answers.uses.get(group.name) or next(
        (answers.uses[PurePath(p).name] for p in group.paths if PurePath(p).name in answers.uses), None
    )
    names = {group.name, *(PurePath(path).name for path in group.paths)}
    if said == "events" or (said is None and any(file in names and role != "id" for file, role in answers.roles)):
        return FileUseGuess(group, "events", 1.0, "as you say")
    if said == "ignore":
        return FileUseGuess(group, "ignore", 1.0, "as you say")
    if said is None and group in events:
        return FileUseGuess(group, "events", _event_score(group), "rows with a time or an outcome whose ids return")
    options = [guess for use in ("items", "users") if (guess := _as_table(group, use, events, answers)) and said in (None, use)]
    best = max(options, key=lambda guess: guess.score, default=None)
    if best and (best.score >= 0.4 or said):
        return best
    if said:
        return FileUseGuess(group, said, 0.5, "as you say", id=next(iter(group.profiles)))
    return FileUseGuess(group, "ignore", 0.5, "neither events nor a table whose ids they have")


def _event_score(group: FileGroup) -> float:
    """Score whether rows are events: they have a time, repeated ids, an action or an outcome."""
    profiles = group.profiles
    named_columns = group.table.has_header
    times, labels = time_scores(profiles, named=named_columns), label_scores(profiles, named=named_columns)
    timed = times[0].score if times else 0.0
    named = {role: _named(profiles, role) for role in ("user", "item", "session")}
    returning = sum(bool(p) and (p.distinct_share < 0.98 or p.filled < 50) for p in named.values() if p)
    unique = unique_ids(group)
    score = 0.45 * (timed >= 0.35) + 0.2 * min(returning, 2) + 0.5 * bool(labels)
    has_item = named["item"] is not None
    name = PurePath(group.pattern).name.lower()
    if any(word in name for word in _EVENT_NAMES) and (timed or labels):
        score += 0.15
    if any(word in name for words in _TABLE_NAMES.values() for word in words) and unique:
        score -= 0.3
    # A row for each item or user is a table, also with a time of validity.
    if unique and max(name_score(each, role) for each in unique for role in ("item", "user")) >= 0.6 and returning < 2:
        score -= 0.4
    if long_table(profiles):
        score -= 0.6
    if not labels and not has_item and group.table.has_header and not _any_returning(group):
        score -= 0.4
    if not group.table.has_header and timed >= 0.4:
        score += 0.2
    return max(0.0, min(score, 1.0))


def _any_returning(group: FileGroup) -> bool:
    return any(0.0 < p.distinct_share < 0.5 and p.distinct > 20 for p in group.profiles.values() if p.content in ("integer", "text"))


def _named(profiles: Mapping[str, ColumnProfile], role: str) -> ColumnProfile | None:
    best = max(profiles.values(), key=lambda p: name_score(p.name, role), default=None)
    return best if best is not None and name_score(best.name, role) >= 0.4 else None


def unique_ids(group: FileGroup) -> list[str]:
    """Find columns that are distinct in each row and could be ids."""
    return [
        p.name
        for p in group.profiles.values()
        if p.content in ("integer", "text")
        and p.filled == p.rows
        and p.distinct_share >= _ID_SHARE
        and p.mean_words < 1.5
        and p.mean_length < 80
    ]


def long_table(profiles: Mapping[str, ColumnProfile]) -> tuple[str, str] | None:
    """Find the columns of property and value, where a row has one property of an item."""
    if len(profiles) > 5:
        return None
    names = {plain_name(name): name for name in profiles}
    property_name = next(
        (names[each] for each in ("property", "attribute", "attr", "propertyname", "attributename") if each in names), None
    )
    value = next((names[each] for each in ("value", "val", "propertyvalue", "attributevalue") if each in names), None)
    return (property_name, value) if property_name and value else None


def _as_table(group: FileGroup, use: str, events: Sequence[FileGroup], answers: Answers) -> FileUseGuess | None:
    """Score the group as a table of items or users: by ids that occur in events, names, and other columns."""
    role = "item" if use == "items" else "user"
    profiles, long = group.profiles, long_table(group.profiles)
    said = answers.role(group.pattern, "id")
    times = time_scores(profiles)
    ids = [said] if said and said != NO_COLUMN else unique_ids(group)
    versions = not ids
    if versions:
        # A row for each id and time: daily prices, or a row for each property.
        ids = [p.name for p in profiles.values() if name_score(p.name, role) >= 0.6 and p.content in ("integer", "text")]
        if not (times or long):
            return None
    best: FileUseGuess | None = None
    file_name = PurePath(group.pattern).name.lower()
    for at, name in enumerate(ids):
        shared = max((overlap(profiles[name].values, p.values) for other in events for p in _joinable(other, role)), default=0.0)
        by_name = name_score(name, role)
        attributes = [is_item_attribute(other) if use == "items" else is_shopper_attribute(other) for other in profiles if other != name]
        score = 0.35 * shared + 0.3 * by_name + 0.2 * any(word in file_name for word in _TABLE_NAMES[use]) - 0.02 * at
        score += 0.1 * any(attributes) + 0.02 * min(len(profiles), 6)
        if not shared and events and by_name < 0.6:
            continue
        if best is None or score > best.score:
            why = f"{shared:.0%} of the events' ids are in its column {name!r}" if shared else f"by its column {name!r}"
            from_time = times[0].column if times and versions else None
            best = FileUseGuess(group, use, min(score, 1.0), why, name, from_time, *(long or (None, None)))  # type: ignore[arg-type]
    return best


def _joinable(group: FileGroup, role: str) -> list[ColumnProfile]:
    """List columns of events that could be the ids, without those that are surely of the other table."""
    other = "user" if role == "item" else "item"
    return [
        p
        for p in group.profiles.values()
        if p.content in ("integer", "text")
        and p.distinct > 5
        and not p.is_binary
        and name_score(p.name, other) <= name_score(p.name, role)
        and name_score(p.name, "session") < 0.5
    ]
