"""Assign the roles of an event to the columns of a file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from components.profiling.answers import NO_COLUMN, Answers
from components.profiling.roles.file_uses import FileUseGuess, overlap
from components.profiling.roles.role_scores import (
    LEAST,
    RoleScore,
    action_scores,
    constant_share,
    grouping_scores,
    id_scores,
    label_scores,
    number_scores,
    rows_per_key,
    time_scores,
    unnamed_id_scores,
)
from components.profiling.samples.column_profile import ColumnProfile
from components.profiling.samples.file_groups import FileGroup
from components.profiling.vocabulary import is_code, name_score

_TIED = 0.03  # difference of scores below which a second column fits as well: the role becomes a question


@dataclass(frozen=True)
class EventRoles:
    """The column of each role with its score; `clock`: a second column of the time (a time of day, or an offset).

    `rivals`: other columns that fit a role as well.
    """

    chosen: dict[str, RoleScore] = field(default_factory=dict)
    clock: str | None = None
    clock_unit: str = ""
    rivals: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def column(self, role: str) -> str | None:
        """Return the column of a role, if there is one."""
        return self.chosen[role].column if role in self.chosen else None


def assign_roles(group: FileGroup, tables: Sequence[FileUseGuess], answers: Answers) -> EventRoles:
    """Assign the roles of an event file, the surest first; each column has one role."""
    profiles, columns = group.profiles, group.table.columns
    chosen: dict[str, RoleScore] = {}
    rivals: dict[str, tuple[str, ...]] = {}
    taken: set[str] = set()

    def choose(role: str, ranked: Sequence[RoleScore]) -> None:
        said = answers.role(group.pattern, role)
        if said is not None:
            if said != NO_COLUMN:
                chosen[role] = RoleScore(said, 1.0, "as you say")
                taken.add(said)
            return
        free = [each for each in ranked if each.column not in taken and each.score >= LEAST]
        if free:
            chosen[role] = free[0]
            taken.add(free[0].column)
            rivals[role] = tuple(each.column for each in free[1:] if free[0].score - each.score < _TIED)

    taken |= {column for (file, _), column in answers.roles.items() if file in ("", group.name)}
    named = group.table.has_header
    times = time_scores(profiles, named=named)
    choose("time", times)
    surely_times = {each.column for each in times if each.score >= 0.5}
    choose("label", label_scores(profiles, named=named))
    choose("action", [] if "label" in chosen else [each for each in action_scores(profiles) if each.score >= 0.4])
    overlaps = {role: _overlaps(profiles, tables, use) for role, use in (("item", "items"), ("user", "users"))}
    items = id_scores(profiles, "item", overlaps=overlaps["item"], times=surely_times)
    users = id_scores(profiles, "user", overlaps=overlaps["user"], times=surely_times)
    # A column that fits both goes to the role it fits better.
    choose("item", [each for each in items if each.score >= _score_of(users, each.column)])
    choose("user", users)
    requests, sessions = grouping_scores(profiles, columns, user=_column(chosen, "user"), time=_column(chosen, "time"), taken=taken)
    choose("session", sessions)
    if group.table.fill_down is not None:
        requests = [RoleScore(group.table.fill_down.within, 0.85, "its further rows leave out what the first one says"), *requests]
    choose("request", requests)
    if "item" not in chosen or "user" not in chosen:
        _by_statistics(group, chosen, choose, surely_times | taken)
    _session_as_user(profiles, chosen)
    for role in ("position", "order", "quantity", "revenue", "margin"):
        choose(role, number_scores(profiles, role, taken=taken))
    _drop_false_amounts(chosen, columns)
    clock, unit = _clock(profiles, chosen, taken)
    return EventRoles(chosen, clock, unit, {role: others for role, others in rivals.items() if others})


def _by_statistics(group: FileGroup, chosen: Mapping[str, RoleScore], choose, out: set[str]) -> None:  # type: ignore[no-untyped-def]
    if group.table.has_header and "label" in chosen:
        return
    users, items = unnamed_id_scores(group.profiles, times=out)
    if "user" not in chosen and "session" not in chosen:
        together = [each for each in users if each.score > 0.5]
        choose("user", together or ([] if group.table.has_header else users))
    # Of named columns only codes: a duration has no item's name and isn't one.
    coded = [each for each in items if not group.table.has_header or is_code(each.column)]
    choose("item", [each for each in coded if group.profiles[each.column].distinct > 10] if "item" not in chosen else [])


def _overlaps(profiles: Mapping[str, ColumnProfile], tables: Sequence[FileUseGuess], use: str) -> dict[str, float]:
    shares: dict[str, float] = {}
    for guess in tables:
        if guess.use == use and guess.id is not None:
            ids = guess.group.profiles[guess.id].values
            for name, profile in profiles.items():
                if profile.content in ("integer", "text") and profile.distinct > 5:
                    shares[name] = max(shares.get(name, 0.0), overlap(ids, profile.values))
    # Small whole numbers occur among any table's ids.
    named = {name for name in shares if name_score(name, "item" if use == "items" else "user") > 0}
    return {
        name: share for name, share in shares.items() if name in named or profiles[name].content == "text" or profiles[name].distinct > 200
    }


def _score_of(ranked: Sequence[RoleScore], column: str) -> float:
    return next((each.score for each in ranked if each.column == column), 0.0)


def _column(chosen: Mapping[str, RoleScore], role: str) -> str | None:
    return chosen[role].column if role in chosen else None


def _session_as_user(profiles: Mapping[str, ColumnProfile], chosen: dict[str, RoleScore]) -> None:
    """Use the session as the user where there is no user column, or hardly any value in it."""
    session, user = chosen.get("session"), chosen.get("user")
    if session is None or (user is not None and profiles[user.column].missing < 0.5 * profiles[user.column].rows):
        return
    if user is None or user.score < 1.0:
        why = "there is no shopper but the session's" if user is None else f"{user.column!r} is mostly empty"
        chosen["user"] = RoleScore(session.column, 0.8 * session.score, why)
        del chosen["session"]


def _drop_false_amounts(chosen: dict[str, RoleScore], columns: Mapping[str, pl.Series]) -> None:
    """Drop positions where no rows share a request, and amounts that are the same in all rows of a request."""
    request = _column(chosen, "request")
    if "position" in chosen and chosen["position"].score < 0.95 and (request is None or rows_per_key(columns[request]) < 1.2):
        del chosen["position"]
    for role in ("revenue", "margin"):
        if request is not None and role in chosen and constant_share(columns[request], columns[chosen[role].column]) > 0.9:
            del chosen[role]


def _clock(profiles: Mapping[str, ColumnProfile], chosen: Mapping[str, RoleScore], taken: set[str]) -> tuple[str | None, str]:
    """Find a second column of the time, where the first has only days: a time of day, or an offset."""
    time = _column(chosen, "time")
    if time is None:
        return None, ""
    profile = profiles[time]
    notation = profile.time
    days = notation is not None and (
        (notation.kind == "iso" and bool((profile.values.head(500).str.len_chars() <= 10).all()))
        or (notation.kind == "format" and not any(part in notation.format for part in ("%H", "%I")))
    )
    if not days:
        return None, ""
    for name, other in profiles.items():
        if name in taken:
            continue
        if other.time is not None and other.time.kind == "clock":
            return name, ""
        if other.content == "integer" and other.lowest >= 0 and name_score(name, "time") >= 0.5:
            # An offset within a day is below 86,400 seconds.
            return name, "s" if other.highest <= 86_400 else "ms"
    return None, ""
