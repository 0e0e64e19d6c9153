"""Choose what to remove so that limits of age, size and number hold: one rule for log files and releases."""

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar


class Sized(Protocol):
    """An entry with its size in bytes."""

    @property
    def size(self) -> int:
        """The size in bytes."""
        ...


Entry = TypeVar("Entry", bound=Sized)


def beyond(
    entries: Iterable[Entry], *, too_old: Callable[[Entry], bool], bytes: int, count: int, stays: Callable[[Entry], bool]
) -> list[Entry]:
    """Choose the entries to remove so that the rest keeps the limits, except those that stay.

    Args:
        entries: the oldest first.
        too_old: whether an entry is beyond the limit of age.
        bytes: greatest total size of the rest; 0 is no limit.
        count: greatest number of the rest; 0 is no limit.
        stays: whether an entry is kept whatever the limits.
    """
    listed = list(entries)
    left, size = len(listed), sum(each.size for each in listed)
    removed: list[Entry] = []
    for each in listed:
        if (too_old(each) or (count and left > count) or (bytes and size > bytes)) and not stays(each):
            removed.append(each)
            left, size = left - 1, size - each.size
    return removed
