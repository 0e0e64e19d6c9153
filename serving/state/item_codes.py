"""Map item ids to codes of this process: the reducer's histories hold codes, everything persistent holds ids."""

import threading
from collections.abc import Iterable
from typing import final

NO_ITEM = -1  # of an event without an item; its name is ""


@final
class ItemCodes:
    """Codes of item ids, assigned in the order of first use. Thread-safe.

    Items that are newer than the last ingestion get a code like any other. Codes differ between processes.

    Args:
        ids: distinct; their codes are 0, 1, ...
    """

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._names = list(ids)
        self._codes = {name: code for code, name in enumerate(self._names)}
        self._codes[""] = NO_ITEM
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return the number of items with a code."""
        return len(self._names)

    def code(self, item: str) -> int:
        """Return the item's code, a new one where it has none."""
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
        """Return the id of a code."""
        return "" if code == NO_ITEM else self._names[code]

    def names(self) -> list[str]:
        """Return all ids, by code."""
        return list(self._names)
