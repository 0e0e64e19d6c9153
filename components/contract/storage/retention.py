"""What goes first where more is kept than limits allow: one rule for the files of a log and for releases."""

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar


class Sized(Protocol):
    """Something that is kept, with its size in bytes."""

    @property
    def size(self) -> int:
        """In bytes."""
        ...


Entry = TypeVar("Entry", bound=Sized)


def beyond(
    entries: Iterable[Entry], *, too_old: Callable[[Entry], bool], bytes: int, count: int, stays: Callable[[Entry], bool]
) -> list[Entry]:
    """Those to be removed so that what is left keeps the limits, as far as nothing that stays is in the way.

    Args:
        entries: the oldest first.
        too_old: whether one is older than is kept.
        bytes: of all that is left together at most; 0 is no limit.
        count: of them at most; 0 is no limit.
        stays: whether one is kept whatever the limits say.
    """
    rest = list(entries)
    left, size = len(rest), sum(each.size for each in rest)
    gone: list[Entry] = []
    for each in rest:
        if (too_old(each) or (count and left > count) or (bytes and size > bytes)) and not stays(each):
            gone.append(each)
            left, size = left - 1, size - each.size
    return gone
