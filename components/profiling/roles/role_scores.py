"""Score each column of a table for each role of an event, by its name and its statistics."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from components.profiling.samples.column_profile import ColumnProfile
from components.profiling.vocabulary import action_of, name_score

LEAST = 0.35  # lowest score to assign a role
_FEW = 60  # most distinct values of an action column


@dataclass(frozen=True)
class RoleScore:
    """A column's score for a role (0 to 1), with the reason."""

    column: str
    score: float
    why: str


def constant_share(keys: pl.Series, values: pl.Series) -> float:
    """Return the share of keys with several rows that have one value in all of them; 0 without such keys."""
    frame = pl.DataFrame({"key": keys, "value": values}).drop_nulls("key")
    groups = frame.group_by("key").agg(pl.len().alias("rows"), pl.col("value").drop_nulls().n_unique().alias("values"))
    several = groups.filter(pl.col("rows") > 1)
    return float((several["values"] <= 1).mean() or 0) if len(several) else 0.0  # type: ignore[arg-type]


def rows_per_key(keys: pl.Series) -> float:
    """Return the mean number of rows of a value."""
    there = keys.drop_nulls()
    return len(there) / max(there.n_unique(), 1)


def adjacency(values: pl.Series) -> float:
    """Return the share of rows with the value of the row before, as in logs written visit by visit."""
    return float((values == values.shift(1)).mean() or 0) if len(values) > 1 else 0.0  # type: ignore[arg-type]


def time_scores(profiles: Mapping[str, ColumnProfile], *, named: bool = True) -> list[RoleScore]:
    """Score columns of times, best first; `named`: the file has column names."""
    scores = []
    for name, profile in profiles.items():
        by_name = name_score(name, "time")
        if profile.native_time:
            scores.append(RoleScore(name, 0.6 + 0.4 * by_name, "a column of timestamps"))
        elif profile.time is None or profile.time.kind == "clock":
            continue
        elif profile.time.kind == "epoch":
            # Large numbers may look like seconds by chance, milliseconds rarely. Without names there is no other evidence.
            by_value = (0.2 if profile.time.unit == "s" else 0.35) + (0.0 if named else 0.25)
            scores.append(RoleScore(name, by_value + (0.95 - by_value) * by_name, f"numbers since 1970 in {profile.time.unit}"))
        elif profile.time.kind == "format" and profile.time.format.isalpha() is False and set(profile.time.format) <= set("%ymdYHMS"):
            scores.append(RoleScore(name, 0.3 + 0.65 * by_name, f"dates written as digits ({profile.time.format})"))
        else:
            said = "ISO 8601" if profile.time.kind == "iso" else profile.time.format
            filled = profile.filled / max(profile.rows, 1)
            scores.append(RoleScore(name, (0.55 + 0.45 * by_name) * (0.5 + 0.5 * filled), f"dates and times ({said})"))
    return _ranked(scores)


def id_scores(profiles: Mapping[str, ColumnProfile], role: str, *, overlaps: Mapping[str, float], times: set[str]) -> list[RoleScore]:
    """Score columns that could be ids of users or items, best first.

    Args:
        profiles: of the table's columns.
        role: "user" or "item".
        overlaps: by column, the share of its ids that are in the role's own table.
        times: columns of times, by name and value.
    """
    scores = []
    for name, profile in profiles.items():
        by_name = name_score(name, role)
        # Ids may look like decimals, such as 1026454.4271 in a cookie.
        if name in times or not (_could_be_id(profile) or (profile.content == "decimal" and by_name >= 0.9 and profile.lowest > 0)):
            continue
        overlap = overlaps.get(name, 0.0)
        repeated = profile.distinct_share < 0.98 or profile.filled < 50
        score = 0.25 + 0.7 * by_name if by_name else 0.0
        why = "by its name" if by_name else ""
        if overlap > 0.3:
            score = max(score + 0.2, 0.55 + 0.4 * overlap)
            why = f"{overlap:.0%} of its ids are in the {'catalogue' if role == 'item' else 'users'}" + (", and by its name" if why else "")
        if score:
            scores.append(RoleScore(name, min(score if repeated else 0.7 * score, 1.0), why))
    return _ranked(scores)


def unnamed_id_scores(profiles: Mapping[str, ColumnProfile], *, times: set[str]) -> tuple[list[RoleScore], list[RoleScore]]:
    """Score unnamed columns for user and item: rows of a user are often adjacent, those of an item aren't."""
    ids = [p for name, p in profiles.items() if _could_be_id(p) and name not in times and p.distinct > 10 and p.distinct_share < 0.95]
    ids = [p for p in ids if p.content != "text" or p.mean_words < 1.3]
    if not ids:
        return [], []
    together = {p.name: adjacency(p.values) for p in ids}
    users = [
        RoleScore(
            p.name, 0.4 + 0.2 * (together[p.name] > 0.3), "rows of a value lie together" if together[p.name] > 0.3 else "its values return"
        )
        for p in ids
    ]
    items = [RoleScore(p.name, 0.4 + 0.1 * (together[p.name] <= 0.3), "its values return, scattered over the rows") for p in ids]
    return _ranked(users), _ranked(items)


def action_scores(profiles: Mapping[str, ColumnProfile]) -> list[RoleScore]:
    """Score columns whose few values are action words, or whose name says so."""
    scores = []
    for name, profile in profiles.items():
        if not 1 <= profile.distinct <= _FEW or profile.filled < 0.5 * profile.rows or profile.content in ("decimal", "time"):
            continue
        by_name = name_score(name, "action")
        words = profile.values.value_counts(sort=True)
        known = sum(count for value, count in words.iter_rows() if action_of(value)[0]) / profile.filled
        if profile.content == "integer":
            score, why = (0.6 * by_name if profile.distinct <= 10 and not profile.is_binary else 0.0), "codes, by the column's name"
        else:
            score = 0.45 * by_name + 0.5 * known if known > 0.5 or by_name > 0.8 else 0.0
            why = f"its words are actions ({', '.join(words.to_series(0).head(3).to_list())})" if known > 0.5 else "by its name"
        # One word in all rows is an action only if both the column's name and the word are known.
        if score and (profile.distinct > 1 or (by_name >= 0.6 and known > 0.5)):
            scores.append(RoleScore(name, score, why))
    return _ranked(scores)


def label_scores(profiles: Mapping[str, ColumnProfile], *, named: bool = True) -> list[RoleScore]:
    """Score columns of 0 and 1 that are named like an outcome, or, without names, are first or last."""
    scores = []
    for at, (name, profile) in enumerate(profiles.items()):
        if not (profile.is_binary and profile.distinct == 2 and profile.filled > 0.99 * profile.rows):
            continue
        if by_name := name_score(name, "label"):
            scores.append(RoleScore(name, 0.3 + 0.65 * by_name, "0 and 1, by its name"))
        elif not named and at in (0, len(profiles) - 1):
            scores.append(RoleScore(name, 0.6 if at == 0 else 0.5, "0 and 1, at the edge of the row"))
    return _ranked(scores)


def grouping_scores(
    profiles: Mapping[str, ColumnProfile], columns: Mapping[str, pl.Series], *, user: str | None, time: str | None, taken: set[str]
) -> tuple[list[RoleScore], list[RoleScore]]:
    """Score ids that several rows of a user share: a request at one moment, a session over a period."""
    requests, sessions = [], []
    for name, profile in profiles.items():
        if name in taken or not _could_be_id(profile):
            continue
        one_user = constant_share(columns[name], columns[user]) if user else 0.5
        one_time = constant_share(columns[name], columns[time]) if time else 0.5
        by_request, by_session = name_score(name, "request"), name_score(name, "session")
        shared = rows_per_key(columns[name])
        if by_request and (shared > 1.02 or by_request >= 0.9):
            steady = 0.5 + 0.5 * max(one_user if user else 0.7, one_time)
            together = f", {one_time:.0%} of them at one time" if time else ""
            requests.append(RoleScore(name, (0.3 + 0.65 * by_request) * steady, f"{shared:.1f} rows each{together}, by its name"))
        if by_session:
            steady = 0.6 + 0.4 * (one_user if user else 0.8)
            together = f", {one_user:.0%} of one shopper" if user else ""
            sessions.append(RoleScore(name, (0.3 + 0.65 * by_session) * steady, f"{shared:.1f} rows each{together}, by its name"))
    return _ranked(requests), _ranked(sessions)


def number_scores(profiles: Mapping[str, ColumnProfile], role: str, *, taken: set[str]) -> list[RoleScore]:
    """Score columns of numbers by their name: position, order, quantity, revenue, margin, rating, price."""
    scores = []
    for name, profile in profiles.items():
        if name in taken or not profile.is_number:
            continue
        by_name = name_score(name, role)
        if role in ("position", "order") and (profile.content != "integer" or profile.lowest < 0):
            continue
        if role == "rating" and not (profile.distinct <= 12 and profile.lowest >= 0 and profile.highest <= 100):
            continue
        if by_name:
            scores.append(RoleScore(name, 0.3 + 0.65 * by_name, "by its name"))
    return _ranked(scores)


def _could_be_id(profile: ColumnProfile) -> bool:
    """Return whether values can be ids: neither words nor amounts, and several of them."""
    if profile.content == "empty" or profile.is_binary or profile.distinct < 2:
        return False
    if profile.content == "decimal" or profile.native_time:
        return False
    if profile.content == "integer":
        return profile.lowest >= -1
    if profile.content == "time":
        return False
    return profile.mean_words < 1.5 and profile.mean_length <= 80 and profile.mean_parts < 1.7


def _ranked(scores: list[RoleScore]) -> list[RoleScore]:
    return sorted(scores, key=lambda each: -each.score)
