"""Item ids as numbers of this process: the reducer's history holds numbers, and everything that outlives the process holds ids."""

import threading
from collections.abc import Iterable
from typing import final

NO_ITEM = -1  # of an event that is about no item; its name is ""


@final
class ItemCodes:
    """Numbers for item ids, given in the order in which they are first met; its calls may come from several threads.

    Items that came into the shop after the last ingestion get theirs like any other. A number means nothing to another process.

    Args:
        ids: distinct; they get the numbers from 0 on.
    """

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._names = list(ids)
        self._codes = {name: code for code, name in enumerate(self._names)}
        self._codes[""] = NO_ITEM
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many items have a number."""
        return len(self._names)

    def code(self, item: str) -> int:
        """The item's number, a new one where it has none."""
        code = self._codes.get(item)
        if code is None:
            with self._lock:
                code = self._codes.get(item)
                if code is None:
                    code = len(self._names)
                    self._names.append(item)
                    self._codes[item] = code
        return code

    def name(self, code: int) -> str:
        """The id behind a number."""
        return "" if code == NO_ITEM else self._names[code]

    def names(self) -> list[str]:
        """All ids, by number."""
        return list(self._names)
