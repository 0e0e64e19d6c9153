"""Order candidates by their scores and the rules, and report the effect of each rule: a pure function.

Whatever their order in the file, rules are applied in five steps, each to the result of the last:

1. by score, descending; equal scores in the order given, NaN last;
2. `filter`;
3. `boost` and `bury`: a candidate moves up or down by the sum of its rules' places. Places, not a factor on the score:
   a factor has the opposite effect where scores are negative, and none where they are far apart;
4. `diversity`, one rule after the other;
5. `pin`, in the file's order: to its place, or the next free one, or the last free one where the list is shorter. A
   filtered candidate isn't pinned.

The scores are unchanged: the log has both, so that training can separate the model's scores from the shop's rules.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.contract.errors import InputError
from serving.rules.diversity import mmr
from serving.rules.file import Boost, Bury, Diversity, Filter, Pin, Rule
from serving.rules.select import Columns, applies, column, select

Places = NDArray[np.int64]


@dataclass(frozen=True)
class Moved:
    """Move of one candidate by a rule's step: places from 0; `after` is None where the candidate was filtered."""

    item: str
    before: int
    after: int | None


@dataclass(frozen=True)
class Effect:
    """Effect of a rule: moves by the place before. Boosts and buries act together; each lists its own candidates."""

    rule: str
    kind: str
    moved: tuple[Moved, ...]


@dataclass(frozen=True)
class Ruled:
    """Result of the rules: the candidates' indices in the order shown, without filtered ones, and the effects."""

    order: tuple[int, ...]
    effects: tuple[Effect, ...] = ()


def by_score(scores: Sequence[float] | NDArray[Any]) -> Places:
    """Sort indices by score, descending; ties in the order given, NaN last."""
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
        scores: [L] the model's, or the fallback's.
        columns: item feature to its L values; the features that the rules use are required.
        context: feature of the context or the shopper to its value.

    Raises:
        InputError: the lengths differ, or a feature that a rule uses isn't given.
    """
    if len(scores) != len(items):
        raise InputError(f"expected a score for each of the {len(items)} candidates, got {len(scores)}")
    order = by_score(scores)
    effects: list[Effect] = []
    active = [rule for rule in rules if applies(rule.when, context)]
    selected = {rule.name: select(rule, items, columns) for rule in active if not isinstance(rule, Diversity)}

    filters = [rule for rule in active if isinstance(rule, Filter)]
    if filters:
        filtered = np.logical_or.reduce([selected[rule.name] for rule in filters])
        for dropping in filters:
            places = np.flatnonzero(selected[dropping.name][order])
            effects.append(Effect(dropping.name, dropping.kind, tuple(Moved(items[order[at]], int(at), None) for at in places)))
        order = order[~filtered[order]]

    shifts = [rule for rule in active if isinstance(rule, Boost | Bury)]
    if shifts:
        before, order = order, _shift(order, shifts, selected)
        effects += [_effect(rule, items, before, order, selected[rule.name]) for rule in shifts]

    for rule in active:
        if isinstance(rule, Diversity):
            values = column(columns, rule.by, len(items))
            alike = values[order] if isinstance(values, np.ndarray) else [values[at] for at in order]
            before, order = order, order[mmr(alike, weight=rule.weight, first=rule.first)]
            effects.append(_effect(rule, items, before, order, None))

    pins = [rule for rule in active if isinstance(rule, Pin)]
    if pins:
        before, order = order, _pin(order, pins, selected)
        effects += [_effect(rule, items, before, order, selected[rule.name]) for rule in pins]
    return Ruled(tuple(order.tolist()), tuple(effects))


def _shift(order: Places, shifts: Sequence[Boost | Bury], selected: Mapping[str, NDArray[np.bool_]]) -> Places:
    """Sort by place less boosts plus buries, and half a place further, so that the candidate there is passed too."""
    up = np.zeros(len(order))
    for rule in shifts:
        up += selected[rule.name][order] * (rule.places if isinstance(rule, Boost) else -rule.places)
    return order[np.argsort(np.arange(len(order)) - up - 0.5 * np.sign(up), kind="stable")]


def _pin(order: Places, pins: Sequence[Pin], selected: Mapping[str, NDArray[np.bool_]]) -> Places:
    total = len(order)
    slots = np.full(total, -1, np.int64)
    done: set[int] = set()
    for rule in pins:
        index = rule.place
        for candidate in order[selected[rule.name][order]].tolist():
            if candidate in done:
                continue
            after = next((at for at in range(index, total) if slots[at] < 0), None)
            at = after if after is not None else int(np.flatnonzero(slots < 0)[-1])
            slots[at] = candidate
            done.add(candidate)
    slots[slots < 0] = [candidate for candidate in order.tolist() if candidate not in done]
    return slots


def _effect(rule: Rule, items: Sequence[str], before: Places, after: Places, selected: NDArray[np.bool_] | None) -> Effect:
    """List the moves of the candidates that a rule selects; of a rule for all candidates, those whose place changed."""
    place_after = {candidate: at for at, candidate in enumerate(after.tolist())}
    moved = tuple(
        Moved(items[candidate], at, place_after[candidate])
        for at, candidate in enumerate(before.tolist())
        if (selected[candidate] if selected is not None else place_after[candidate] != at)
    )
    return Effect(rule.name, rule.kind, moved)
