"""Propose actions with gains from the words of a log, or from the name of a file."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import polars as pl

from components.profiling.answers import Answers
from components.profiling.roles.event_roles import EventRoles
from components.profiling.samples.file_groups import FileGroup
from components.profiling.vocabulary import action_of, feature_name, is_about_no_item, name_score

# From the weakest to the strongest: where no action has a gain, the strongest gets one.
_STRENGTH = ("other", "view", "click", "favourite", "cart", "checkout", "like", "purchase")


@dataclass(frozen=True)
class ProposedAction:
    """An action: its name, the log's words for it, gain, whether it has an item, certainty and reason.

    `meaning` is a name of the vocabulary, or "" if unknown.
    """

    name: str
    values: tuple[str, ...]
    gain: float
    about_item: bool
    meaning: str
    score: float
    why: str


def propose_actions(group: FileGroup, roles: EventRoles, answers: Answers) -> list[ProposedAction]:
    """Propose the actions of an event file: one for each meaning of its action column's words, or one for all rows."""
    column = roles.column("action")
    if column is None:
        return [_of_all_rows(group, roles, answers)]
    counts = group.profiles[column].values.value_counts(sort=True)
    item = roles.column("item")
    proposed: dict[str, ProposedAction] = {}
    for value, _rows in counts.iter_rows():
        about = not _is_itemless(value, group.table.columns[column], group.table.columns[item] if item else None)
        said = answers.actions.get(value)
        meaning, gain = action_of(value)
        score, why = (0.9, "by its word") if meaning else (0.3, "its word says nothing that is known: no label")
        if said:
            meaning, score, why = action_of(said[0])[0], 1.0, "as you say"
            gain = said[1] if said[1] is not None else action_of(said[0])[1]
        name = said[0] if said else _action_name(value, meaning, proposed)
        before = proposed.get(name)
        values = (*before.values, value) if before else (value,)
        proposed[name] = ProposedAction(name, values, gain, about, meaning, min(score, before.score if before else 1.0), why)
    return list(proposed.values())


def _action_name(value: str, meaning: str, taken: Mapping[str, ProposedAction]) -> str:
    if meaning in ("", "other") or (meaning == "impression" and "impression" in taken):
        name = feature_name(value)
        return name if name not in taken else feature_name(value, list(taken))
    if meaning in taken and meaning in ("view", "click"):  # viewing a list isn't viewing a product
        return feature_name(value, list(taken))
    return meaning


def _is_itemless(value: str, actions: pl.Series, items: pl.Series | None) -> bool:
    if items is None:
        return False
    of_value = items.filter((actions == value).fill_null(value=False))
    lacking = of_value.null_count() / max(len(of_value), 1)
    return lacking > 0.5 or (lacking > 0.05 and is_about_no_item(value))


def _of_all_rows(group: FileGroup, roles: EventRoles, answers: Answers) -> ProposedAction:
    stem = PurePath(group.pattern).name.split(".")[0]
    words = [word for word in re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", stem).lower()) if word]
    said = next((answers.actions[word] for word in (group.name, stem) if word in answers.actions), None)
    if said:
        gain = said[1] if said[1] is not None else action_of(said[0])[1]
        return ProposedAction(said[0], (), gain, True, action_of(said[0])[0], 1.0, "as you say")
    for word in reversed(words):
        meaning, gain = action_of(word)
        if meaning in ("purchase", "cart", "click", "view", "impression", "favourite", "return"):
            return ProposedAction(meaning, (), gain, True, meaning, 0.8, f"by the file's name ({word!r})")
    if rating_column(group) is not None:
        return ProposedAction("like", (), 1.0, True, "like", 0.7, "a rating of four of five stars and above")
    plain = {name.lower() for name in group.profiles}
    bought = {"quantity", "revenue"} & set(roles.chosen) or any(re.search(r"invoice|order|price|sales|lineitem", name) for name in plain)
    if bought:
        return ProposedAction("purchase", (), 4.0, True, "purchase", 0.6, "rows have a quantity, a price or an order")
    return ProposedAction("click", (), 1.0, True, "click", 0.3, "nothing says what its rows are")


def rating_column(group: FileGroup) -> str | None:
    """Find a column of ratings by its name, or, in a file of ratings without names, by its few small numbers."""
    unnamed = not group.table.has_header and "rating" in PurePath(group.pattern).name.lower()
    for name, profile in group.profiles.items():
        if (
            profile.is_number
            and 2 < profile.distinct <= 12
            and profile.lowest >= 0
            and profile.highest <= 100
            and (name_score(name, "rating") or unnamed)
        ):
            return name
    return None


def with_gains(actions: Iterable[ProposedAction], *, shown: bool) -> list[ProposedAction]:
    """Set the gains by the form of the candidates.

    Without impressions, views and clicks are inputs to predict purchases from; without purchases, the strongest action
    is the label. With impressions, the actions that follow them are labels.
    """
    listed = list(actions)
    strong = any(action.gain >= 2 for action in listed)
    made: list[ProposedAction] = []
    for action in listed:
        gain = action.gain
        said = action.why == "as you say"
        if not said and not shown and strong and action.meaning in ("click", "favourite"):
            gain = 0.0
        if not said and shown and action.meaning == "view" and not any(other.meaning == "click" for other in listed):
            gain = 1.0
        made.append(_with_gain(action, gain))
    if not any(action.gain for action in made):
        best = max(
            (action for action in made if action.meaning != "impression" and action.about_item),
            key=lambda action: _STRENGTH.index(action.meaning) if action.meaning in _STRENGTH else -1,
            default=None,
        )
        if best:
            made[made.index(best)] = _with_gain(best, 1.0)
    positive = sorted({action.gain for action in made if action.gain})
    if len(positive) == 1 and not any(action.why == "as you say" for action in made):
        made = [_with_gain(action, 1.0 if action.gain else 0.0) for action in made]
    return made


def _with_gain(action: ProposedAction, gain: float) -> ProposedAction:
    return ProposedAction(action.name, action.values, gain, action.about_item, action.meaning, action.score, action.why)


def merged(actions: Sequence[ProposedAction]) -> dict[str, ProposedAction]:
    """Merge the actions of several files by name, with the words of all."""
    by_name: dict[str, ProposedAction] = {}
    for action in actions:
        before = by_name.get(action.name)
        values = tuple(dict.fromkeys((*(before.values if before else ()), *action.values)))
        kept = before if before and before.score < action.score else action
        by_name[action.name] = ProposedAction(
            action.name, values, max(action.gain, before.gain if before else 0), kept.about_item, kept.meaning, kept.score, kept.why
        )
    return by_name
