"""State in the memory of one process, with snapshots to a folder: for development, tests, and a service on one machine."""

import threading
from collections import OrderedDict
from typing import final

from components.state.store import StateStore
from serving.state.codes import ItemCodes
from serving.state.folder import Saved
from serving.state.seam import Change, Known, Plans

MARKS = 100_000  # newest changes that are remembered, to tell their repetitions


@final
class MemoryStates:
    """Both sides as `StateStore`s.

    Args:
        plans: what is kept.
        codes: of the items in histories.
        saved: where to start from; default: nothing is known.
    """

    def __init__(self, plans: Plans, codes: ItemCodes, saved: Saved | None = None) -> None:
        self._codes = codes
        self._users = StateStore(plans.users, saved.users if saved else None)
        self._items = StateStore(plans.items, saved.items if saved else None) if plans.items else None
        self._writing = threading.Lock()  # so that a snapshot holds a change whole or not at all
        self._marks: OrderedDict[bytes, int] = OrderedDict()  # to the time of the last change that bore it

    def known(self, shopper: str, items: list[str], time_us: int, *, session: int = 0) -> Known:
        """See StateStores."""
        user = self._users.features(shopper, time_us, session=session)
        return Known(user, None if self._items is None else self._items.features_of(items, time_us))

    def record(self, change: Change) -> bool:
        """See StateStores."""
        with self._writing:
            before_us = self._marks.get(change.mark)
            if before_us is not None and abs(change.time_us - before_us) <= change.span_us:
                self._marks[change.mark] = max(before_us, change.time_us)
                return False
            self._users.record(*change.users)
            if self._items is not None:
                self._items.record(*change.items)
            self._marks[change.mark] = change.time_us
            if len(self._marks) > MARKS:
                self._marks.popitem(last=False)
            return True

    def forget(self, shopper: str) -> None:
        """See StateStores."""
        with self._writing:
            self._users.forget(shopper)

    def snapshot(self) -> Saved:
        """A copy of all that is known, to be saved with `serving.state.folder.save`."""
        with self._writing:
            users = self._users.snapshot()
            items = None if self._items is None else self._items.snapshot()
            return Saved(users, items, self._codes.names())
