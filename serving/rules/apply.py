"""From scores to the order that is shown: a pure function, which also tells what each rule did.

Whatever their order in the file, rules go in five steps, each on what the last has left:

1. by score, highest first; equal scores in the order given, a score that is no number (NaN) last;
2. `filter`;
3. `boost` and `bury`: a candidate goes up or down by so many places as its rules say together. Places, not a factor on the score: a
   factor turns round where scores are negative, and does nothing where they are far apart;
4. `diversity`, one rule after the other;
5. `pin`, in the file's order: to its place, or the next free one, or the last free one where the list is shorter. What is filtered
   isn't pinned.

The scores stay as they are: the log has both, so that training can tell what the model said from what the shop decided.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.contract.errors import InputError
from serving.rules.diversity import mmr
from serving.rules.file import Boost, Bury, Diversity, Filter, Pin, Rule
from serving.rules.select import Columns, column, holds, selected

Places = NDArray[np.int64]


@dataclass(frozen=True)
class Moved:
    """What a rule's step did to one candidate; places from 0, before and after the step. `after` is None where it was filtered."""

    item: str
    before: int
    after: int | None


@dataclass(frozen=True)
class Effect:
    """What a rule did: `moved`, in order of the places before. Of boosts and buries, which act together, each names its own candidates."""

    rule: str
    kind: str
    moved: tuple[Moved, ...]


@dataclass(frozen=True)
class Ruled:
    """An order and how it came about: `order`, the candidates' indices in the order shown, without those that were filtered."""

    order: tuple[int, ...]
    effects: tuple[Effect, ...] = ()


def by_score(scores: Sequence[float] | NDArray[Any]) -> Places:
    """Indices by score, highest first; equal ones in the order given, NaN last."""
    values = np.asarray(scores, np.float64)
    return np.argsort(np.where(np.isnan(values), np.inf, -values), kind="stable").astype(np.int64)


def apply_rules(
    rules: Sequence[Rule],
    items: Sequence[str],
    *,
    scores: Sequence[float] | NDArray[Any],
    columns: Columns,
    context: Mapping[str, Any],
) -> Ruled:
    """Order L candidates.

    Args:
        rules: of one set.
        items: [L] ids.
        scores: [L] the model's, or whatever stands in for it.
        columns: item feature to its L values; those that the rules name are needed.
        context: feature of the context or the shopper to its value.

    Raises:
        InputError: the lengths differ, or a feature that a rule names isn't given.
    """
    if len(scores) != len(items):
        raise InputError(f"expected a score for each of the {len(items)} candidates, got {len(scores)}")
    order = by_score(scores)
    effects: list[Effect] = []
    in_force = [rule for rule in rules if holds(rule.when, context)]
    concerned = {rule.name: selected(rule, items, columns) for rule in in_force if not isinstance(rule, Diversity)}

    filters = [rule for rule in in_force if isinstance(rule, Filter)]
    if filters:
        dropped = np.logical_or.reduce([concerned[rule.name] for rule in filters])
        for dropping in filters:
            places = np.flatnonzero(concerned[dropping.name][order])
            effects.append(Effect(dropping.name, dropping.kind, tuple(Moved(items[order[at]], int(at), None) for at in places)))
        order = order[~dropped[order]]

    shifts = [rule for rule in in_force if isinstance(rule, Boost | Bury)]
    if shifts:
        before, order = order, _shifted(order, shifts, concerned)
        effects += [_effect(rule, items, before, order, concerned[rule.name]) for rule in shifts]

    for rule in in_force:
        if isinstance(rule, Diversity):
            values = column(columns, rule.by, len(items))
            alike = values[order] if isinstance(values, np.ndarray) else [values[at] for at in order]
            before, order = order, order[mmr(alike, weight=rule.weight, first=rule.first)]
            effects.append(_effect(rule, items, before, order, None))

    pins = [rule for rule in in_force if isinstance(rule, Pin)]
    if pins:
        before, order = order, _pinned(order, pins, concerned)
        effects += [_effect(rule, items, before, order, concerned[rule.name]) for rule in pins]
    return Ruled(tuple(order.tolist()), tuple(effects))


def _shifted(order: Places, shifts: Sequence[Boost | Bury], concerned: Mapping[str, NDArray[np.bool_]]) -> Places:
    """Sort by place less boosts plus buries. Half a place more in its direction: whom it meets there, it has passed."""
    up = np.zeros(len(order))
    for rule in shifts:
        up += concerned[rule.name][order] * (rule.places if isinstance(rule, Boost) else -rule.places)
    return order[np.argsort(np.arange(len(order)) - up - 0.5 * np.sign(up), kind="stable")]


def _pinned(order: Places, pins: Sequence[Pin], concerned: Mapping[str, NDArray[np.bool_]]) -> Places:
    total = len(order)
    placed = np.full(total, -1, np.int64)
    done: set[int] = set()
    for rule in pins:
        index = rule.place
        for candidate in order[concerned[rule.name][order]].tolist():
            if candidate in done:
                continue
            after = next((at for at in range(index, total) if placed[at] < 0), None)
            at = after if after is not None else int(np.flatnonzero(placed < 0)[-1])
            placed[at] = candidate
            done.add(candidate)
    placed[placed < 0] = [candidate for candidate in order.tolist() if candidate not in done]
    return placed


def _effect(rule: Rule, items: Sequence[str], before: Places, after: Places, concerned: NDArray[np.bool_] | None) -> Effect:
    """What became of the candidates that a rule concerns; of a rule that concerns all, those that changed their place."""
    place_after = {candidate: at for at, candidate in enumerate(after.tolist())}
    moved = tuple(
        Moved(items[candidate], at, place_after[candidate])
        for at, candidate in enumerate(before.tolist())
        if (concerned[candidate] if concerned is not None else place_after[candidate] != at)
    )
    return Effect(rule.name, rule.kind, moved)
