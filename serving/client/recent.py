"""A mapping that makes what it lacks, and lets go of what hasn't been asked for longest."""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar, final

Key = TypeVar("Key")
Value = TypeVar("Value")


@final
class Recent(Generic[Key, Value]):
    """At most `most` values by key. Callers choose keys, such as versions by their numbers, so their number has to be bounded."""

    def __init__(self, make: Callable[[], Value], most: int = 64) -> None:
        self._make, self._most = make, most
        self._values: dict[Key, Value] = {}

    def __getitem__(self, key: Key) -> Value:
        value = self._values.pop(key, None)
        if value is None:
            value = self._make()
            if len(self._values) >= self._most:
                del self._values[next(iter(self._values))]
        self._values[key] = value
        return value

    def items(self) -> Iterator[tuple[Key, Value]]:
        """Those that are kept, what was asked for last at the end."""
        return iter(list(self._values.items()))
