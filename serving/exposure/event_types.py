"""Define what is logged: decisions of the service, scores of a shadow version, and interactions."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from serving.rules.apply import Effect


@dataclass(frozen=True, kw_only=True)
class Interleaved:
    """Record which of two rankers placed each candidate of an interleaved list.

    Attributes:
        experiment: that interleaves.
        teams: names of the two.
        versions: of the models that ranked, "" for none.
        placed: for each candidate of the order its team, 0 or 1; None where a rule pinned it.
        scores: [L] of each team.
    """

    experiment: str
    teams: tuple[str, str]
    versions: tuple[str, str]
    placed: Sequence[int | None]
    scores: tuple[Sequence[float], Sequence[float]]


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """Record a decision: L candidates were ranked.

    Attributes:
        request: id of the request; interactions refer to it.
        time_us: of the request, microseconds since the epoch.
        shopper: their pseudonym in the log (see pseudonym.py); "" is a guest.
        session: id of the visit, "" for none.
        items: [L] candidates as requested.
        scores: [L] of the model, before rules; None without a model.
        order: indices of the candidates in the order answered, without those filtered out.
        shown: how many of the first positions count as impressions. 0 where the page reports its impressions itself.
        first_position: position, from 0, of the first item of the order: above 0 on a later page.
        label: of the model called first, "" for none.
        version: of the model that answered, "" for none.
        arms: experiment to arm.
        interleaved: who placed which candidate, where two rankers did; else None.
        degraded: what replaced the model or the state, and why; "" if nothing did.
        source: named source of the candidates, "" where the request named them.
        model_ms: until the model called first answered or failed, None without a call.
        effects: what each rule did.
        context: features of the context and the shopper in event rows, by column.
        values: item features as shown with the list (`source: events`), by column, L each.
        features: tensors as sent to the model, or None where the request isn't in the sample.
    """

    request: str
    time_us: int
    shopper: str
    items: Sequence[str]
    order: Sequence[int]
    shown: int
    session: str = ""
    first_position: int = 0
    scores: Sequence[float] | None = None
    label: str = ""
    version: str = ""
    arms: Mapping[str, str] = field(default_factory=dict)
    interleaved: Interleaved | None = None
    degraded: str = ""
    source: str = ""
    model_ms: float | None = None
    effects: Sequence[Effect] = ()
    context: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    features: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class ShadowScores:
    """Record the scores of a shadow version for a decision's candidates, which nobody has seen.

    Attributes:
        request: id of the request.
        time_us: of the request, microseconds since the epoch.
        label: of the version.
        version: its number, "" if unknown.
        scores: [L] in the order of the decision's items.
    """

    request: str
    time_us: int
    label: str
    version: str
    scores: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class Interaction:
    """Record an interaction, or an impression that the page reported itself.

    Attributes:
        time_us: microseconds since the epoch.
        shopper: their pseudonym in the log; "" is a guest.
        action: its name in the dataset file.
        item: "" where the action has none.
        request: of the list it came from, "" if unknown.
        session: id of the visit, "" for none.
        position: the item's position in the list, from 0, or None.
        amounts: by role (revenue, quantity, margin).
        context: features of the context and the shopper in event rows, by column.
        values: item features as shown (`source: events`), by column, where the page reports its impressions itself.
        arms: the shopper's by experiment, of such an impression.
    """

    time_us: int
    shopper: str
    action: str
    item: str = ""
    request: str = ""
    session: str = ""
    position: int | None = None
    amounts: Mapping[str, float] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    arms: Mapping[str, str] = field(default_factory=dict)


def is_sampled(request: str, share: float) -> bool:
    """Return whether a request is in the sampled share, by the hash of its id, so that every replica agrees."""
    return int.from_bytes(hashlib.sha256(request.encode("utf-8", "replace")).digest()[:8], "big") < share * 2.0**64
