"""Keep the state in the memory of one process, with snapshots to a folder: for development, tests, single machines."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import final

from components.state.store import Event, StateStore
from serving.state.interface import Change, Known, Plans
from serving.state.item_codes import ItemCodes
from serving.state.marks import remembered_us, repeats
from serving.state.snapshot import Saved
from serving.state.tombstones import Forgotten

MARKS = 100_000  # newest changes whose repetitions are detected


@final
class MemoryStates:
    """State store in memory.

    Args:
        plans: of both sides.
        codes: of the items in histories.
        saved: the initial state; default: empty.
        forgotten: shoppers to leave out of it.
        key_of: a shopper's pseudonym in the log, where that isn't the id: state that was replayed from a log has it for
            a key.
    """

    def __init__(
        self,
        plans: Plans,
        codes: ItemCodes,
        saved: Saved | None = None,
        *,
        forgotten: Forgotten | None = None,
        key_of: Callable[[str], str] | None = None,
    ) -> None:
        self._codes, self._key_of = codes, key_of
        self._users = StateStore(plans.users, saved.users if saved else None)
        self._items = StateStore(plans.items, saved.items if saved else None) if plans.items else None
        self._writing = threading.Lock()  # a snapshot holds a change whole or not at all
        self._marks: OrderedDict[bytes, int] = OrderedDict(saved.marks if saved else {})  # to the time of the last change with it
        self._forgotten = Forgotten(saved.forgotten if saved else {})  # already applied to the saved state
        self.changes = 0  # their number: a snapshot is due when it has grown
        self.apply_tombstones(forgotten or Forgotten())

    def known(self, shopper: str, items: list[str], time_us: int, *, session: int = 0) -> Known:
        """See StateStores."""
        user = self._users.features(self._name(shopper), time_us, session=session)
        return Known(user, None if self._items is None else self._items.features_of(items, time_us))

    def record(self, change: Change) -> bool:
        """See StateStores."""
        with self._writing:
            before_us = self._marks.get(change.mark)
            if repeats(change, before_us):
                self._remember(change, before_us)
                return False
            self._users.record(*(replace(event, key=self._name(event.key)) for event in change.users if not self._covers(event)))
            if self._items is not None:
                self._items.record(*change.items)
            self._remember(change, before_us)
            return True

    def remember(self, change: Change) -> None:
        """Store a change's mark without applying it, as its events are in the state already."""
        with self._writing:
            self._remember(change, self._marks.get(change.mark))

    def forget(self, shopper: str, *, time_us: int = 0) -> None:
        """See StateStores."""
        with self._writing:
            self._forgotten.add(shopper, time_us)
            self._users.forget(shopper)
            self.changes += 1

    def apply_tombstones(self, forgotten: Forgotten) -> None:
        """Erase the shoppers with new tombstones; state written after a tombstone that was applied already stays."""
        with self._writing:
            newer = forgotten.newer(self._forgotten)
            if newer:
                for name in self._users.keys():  # noqa: SIM118 - a copy
                    if name in newer:
                        self._users.forget(name)
                self._forgotten.update(newer)
                self.changes += 1

    def names(self) -> list[str]:
        """List the shoppers with a state."""
        return self._users.keys()

    def snapshot(self) -> Saved:
        """Copy the state, to be written by `serving.state.snapshot.save`."""
        with self._writing:
            users = self._users.snapshot()
            items = None if self._items is None else self._items.snapshot()
            return Saved(users, items, self._codes.names(), dict(self._marks), self._forgotten.until_us)

    def _remember(self, change: Change, before_us: int | None) -> None:
        self._marks[change.mark] = remembered_us(change, before_us)
        self.changes += 1
        if len(self._marks) > MARKS:
            self._marks.popitem(last=False)

    def _covers(self, event: Event) -> bool:
        return self._forgotten.covers(event.key, event.time_us)

    def _name(self, shopper: str) -> str:
        """Return the key of a shopper's state: the id, or the log's pseudonym where only that has one."""
        if self._key_of is None or not shopper or shopper in self._users:
            return shopper
        key = self._key_of(shopper)
        return key if key in self._users else shopper
