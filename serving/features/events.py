"""Turn one event into its state change, by the rules of ingestion."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, final

from components.contract.base_model import closest
from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.sources import Action, Impressions, ListRows, Rows
from components.contract.userless import lacks_user
from components.contract.values.event_time import event_time_us
from components.state.features import counted_impression
from components.state.keys import segment_key, session_hash
from components.state.store import Event
from serving.features.catalogue import Catalogue
from serving.features.segments import Segments
from serving.state.interface import Change, plans_of
from serving.state.item_codes import NO_ITEM

_MARK_BYTES = 16
NO_CONTEXT: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class ImpressionList:
    """Record that a request's whole list was shown.

    A second list of the shopper from the same position on under the same request (and session, where one is named) is a
    duplicate, unless it comes later than the dataset's `session_gap`: ids may be reused.
    """

    shopper: str  # "" a guest
    request: str
    time_us: int
    items: Sequence[str]
    session: str = ""
    first_position: int = 0  # of the first item: above 0 on a later page of the same request


@dataclass(frozen=True, kw_only=True)
class Interaction:
    """Record an action of a shopper, by its name in the dataset file, on an item where it has one.

    It counts for its own shopper, whoever was shown the request that it names, and for its item.
    """

    shopper: str
    action: str
    time_us: int
    item: str = ""
    request: str = ""
    session: str = ""
    amounts: Mapping[str, float] = field(default_factory=dict)  # by role; no state is made of them


@final
class Changes:
    """Turn events of one dataset into state changes.

    A list counts as one event of its shopper, weighted by the list's length, and as one of each of its items. An
    interaction counts for its shopper, and for its item where the dataset keeps state of that action for items. What
    counts for an item also counts for the item within the event's segment, where the dataset has segments.

    Args:
        dataset: the dataset file.
        catalogue: of the last ingestion.
        pseudonym_of: a shopper's name in the log: an event from there has the same mark as when it came by a call.
    """

    def __init__(self, dataset: Dataset, catalogue: Catalogue, *, pseudonym_of: Callable[[str], str] = str) -> None:
        self._dataset, self._catalogue, self._pseudonym_of = dataset, catalogue, pseudonym_of
        self._plans, self._segments = plans_of(dataset), Segments(dataset, catalogue)
        self._impression = counted_impression(dataset)
        self._guests = any(source.missing_user == "guest" for source in dataset.events)
        self._userless = any(lacks_user(dataset, source) for source in dataset.events)
        self._sessions = any(source.columns.session is not None for source in dataset.events)
        self._skew_us, self._gap_us = int(dataset.skew * 1e6), int(dataset.session_gap * 1e6)
        self._item_actions = self._plans.items.actions if self._plans.items else ()

    def from_event(self, event: ImpressionList | Interaction, *, now_us: int, context: Mapping[str, Any] = NO_CONTEXT) -> Change | None:
        """Return the change of an event; None where its items are unknown and rejected, or it changes no state.

        Args:
            event: that happened.
            now_us: the current time.
            context: features of the request or its shopper, as far as the event has them: segments are made of them.

        Raises:
            InputError: an impossible time (see event_time_us), no shopper where the dataset knows no guests, a list
                without request or items, an undeclared action, or one on an item without an item.
        """
        time_us = event_time_us(event.time_us, now_us=now_us)
        request_names_shopper = self._userless and isinstance(event, Interaction) and event.request
        if not event.shopper and not self._guests and not request_names_shopper:
            raise InputError("expected a shopper, got none, and the dataset file takes no guests (`missing_user: guest`); name the shopper")
        if isinstance(event, ImpressionList):
            return self._impressions(event, context, time_us)
        return self._interaction(event, context, time_us)

    def _impressions(self, event: ImpressionList, context: Mapping[str, Any], time_us: int) -> Change | None:
        if not event.request:
            raise InputError("expected the id of the request whose list was shown, got none; name it, as the answer to the request did")
        if isinstance(event.items, str) or not event.items or not all(type(item) is str and item for item in event.items):
            raise InputError(f"expected the ids of the items shown, got {str(event.items)[:80]!r}; send them as a list of texts")
        items = [item for item in dict.fromkeys(event.items) if self._counts(item)]
        if not isinstance(self._dataset.candidates, Impressions | ListRows) or self._impression is None or not items:
            return None
        user = Event(event.shopper, time_us, self._impression, NO_ITEM, len(items), _session(event.session))
        item_events = items if self._impression in self._item_actions else ()
        page = (str(event.first_position),) if event.first_position else ()
        mark = _mark("shown", self._pseudonym_of(event.shopper), event.session if self._sessions else "", event.request, *page)
        keys = self._keys(item_events, event, context)
        of_item = tuple(Event(key, time_us, self._impression) for key in keys)
        return Change(mark, (user,) if event.shopper else (), of_item, time_us, self._gap_us)

    def _interaction(self, event: Interaction, context: Mapping[str, Any], time_us: int) -> Change | None:
        action = self._checked_action(event)
        item = event.item if action.item else ""
        if isinstance(self._dataset.candidates, Rows) or not self._counts(item):
            return None
        # Its clock may lag behind the list's: it mustn't count as known when the list was shown.
        skew_us = self._skew_us if item else 0
        # Only items in histories need a code.
        code = self._catalogue.codes.code(item) if event.action in self._plans.users.history_actions else NO_ITEM
        of_user = Event(event.shopper, time_us, event.action, code, 1, _session(event.session), skew_us)
        item_events = (item,) if item and event.action in self._item_actions else ()
        keys = self._keys(item_events, event, context)
        of_item = tuple(Event(key, time_us, event.action, skew_us=skew_us) for key in keys)
        # By the time as sent, even if it is ahead: a retry is the same event. Events that differ in an amount alone are
        # two; without amounts marks are as before amounts existed.
        amounts = (f"{amount}={float(value)!r}" for amount, value in sorted(event.amounts.items()))
        mark = _mark(
            "done", self._pseudonym_of(event.shopper), event.action, item, event.request, event.session, str(event.time_us), *amounts
        )
        return Change(mark, (of_user,) if event.shopper else (), of_item, time_us)

    def _checked_action(self, event: Interaction) -> Action:
        """Return the declared action of an interaction; raise InputError where the two don't fit."""
        action = self._dataset.actions.get(event.action)
        if action is None:
            raise InputError(
                f"{event.action!r} isn't among the dataset file's actions; {closest(event.action, list(self._dataset.actions))}"
            )
        if (unknown := next((amount for amount in event.amounts if amount not in self._dataset.amounts), None)) is not None:
            named = ", ".join(self._dataset.amounts) or "none"
            raise InputError(f"the dataset file names no column for the role {unknown!r} (named: {named}); name it there, or leave it out")
        if not all(math.isfinite(amount) for amount in event.amounts.values()):
            raise InputError(f"expected finite numbers as amounts, got {dict(event.amounts)}; leave out what isn't known")
        if event.action == self._impression:
            raise InputError(f"{event.action!r} is what showing a list counts as; send the list, whole and with its request")
        if action.item and not event.item:
            raise InputError(f"{event.action!r} is about an item, got none; name it, or say `item: false` in the dataset file")
        return action

    def _keys(self, items: Sequence[str], event: ImpressionList | Interaction, context: Mapping[str, Any]) -> list[str]:
        """Return the state keys of items: each itself, and each within the segment."""
        segment = self._segments.key(event.shopper, context, time_us=event.time_us)
        return [*items, *([] if segment is None else [segment_key(segment, item) for item in items])]

    def _counts(self, item: str) -> bool:
        """Return whether events of an item count."""
        return self._dataset.unknown_items == "keep" or self._dataset.items is None or not item or item in self._catalogue.items


def _session(name: str) -> int:
    return session_hash(name) if name else 0


def _mark(*parts: str) -> bytes:
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=_MARK_BYTES).digest()
