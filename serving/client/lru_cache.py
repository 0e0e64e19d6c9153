"""Cache values by key, built on first use and evicted least recently used first."""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar, final

Key = TypeVar("Key")
Value = TypeVar("Value")


@final
class LruCache(Generic[Key, Value]):
    """Hold at most `capacity` values: callers choose the keys, such as versions by number, so they must be bounded."""

    def __init__(self, make: Callable[[], Value], capacity: int = 64) -> None:
        self._make, self._capacity = make, capacity
        self._values: dict[Key, Value] = {}

    def __getitem__(self, key: Key) -> Value:
        value = self._values.pop(key, None)
        if value is None:
            value = self._make()
            if len(self._values) >= self._capacity:
                del self._values[next(iter(self._values))]
        self._values[key] = value
        return value

    def items(self) -> Iterator[tuple[Key, Value]]:
        """Iterate over keys and values, the most recently used last."""
        return iter(list(self._values.items()))
