"""What the log is told: a decision of the service, and something a shopper did."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from serving.rules.apply import Effect


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """A decision: L candidates were put in an order.

    Attributes:
        request: id of the request, under which clicks come back.
        time_us: of the request, microseconds since the epoch.
        shopper: the log's key of him (see keys.py); "" is a guest.
        session: id of the visit, "" where none was given.
        items: [L] candidates as given.
        scores: [L] as the model gave them, before rules; None where no model did.
        order: candidates' indices in the order answered; what was filtered is missing.
        shown: how many of the first places count as seen. 0 where the page reports its impressions itself.
        first_position: place, from 0, of the first of the order: above 0 on a later page.
        label: which model was asked, "" for none.
        version: of that model, "" for none.
        arms: experiment to arm.
        degraded: what stood in for the model, "" where nothing had to.
        source: named source that the candidates are from, "" where the request named them.
        model_ms: how long the model that was asked took to answer or to fail, None where none was asked.
        effects: what each rule did.
        context: features of the context and the shopper that stand in event rows, by column.
        values: item features as shown with the list (`source: events`), by column, L each.
        features: exactly what was sent to the model, or None where the request isn't in the sample.
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
    degraded: str = ""
    source: str = ""
    model_ms: float | None = None
    effects: Sequence[Effect] = ()
    context: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    features: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Shadowed:
    """What another version would have said of a decision's candidates; nobody has seen it.

    Attributes:
        request: id of the request.
        time_us: of the request, microseconds since the epoch.
        label: of the version.
        version: the version itself, "" where it didn't tell.
        scores: [L] in the order of the decision's items.
    """

    request: str
    time_us: int
    label: str
    version: str
    scores: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class Interaction:
    """Something a shopper did, or was shown where the page reports that itself.

    Attributes:
        time_us: when, microseconds since the epoch.
        shopper: the log's key of him; "" is a guest.
        action: its name in the dataset file.
        item: "" where the action is about none.
        request: of the list it came from, "" where that isn't known.
        session: id of the visit, "" where none was given.
        position: the item's place in the list, from 0, or None.
        amounts: what it brought in, by role (revenue, quantity, margin).
        context: features of the context and the shopper that stand in event rows, by column.
        values: item features as shown (`source: events`), by column, where the page reports its impressions itself.
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


def sampled(request: str, share: float) -> bool:
    """Whether a request is one of the share whose features are logged: by its id's hash, so that every replica says the same."""
    return int.from_bytes(hashlib.sha256(request.encode("utf-8", "replace")).digest()[:8], "big") < share * 2.0**64
