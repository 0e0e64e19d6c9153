"""Detect repeated changes by their marks (idempotency keys): one rule for all stores."""

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from serving.state.interface import Change

MARK_TTL_S = 3600  # how long a change's mark is kept at least


def repeats(change: Change, before_us: int | None) -> bool:
    """Return whether a change repeats the last one with its mark, which was at `before_us`; None: there was none."""
    return before_us is not None and abs(change.time_us - before_us) <= change.span_us


def remembered_us(change: Change, before_us: int | None) -> int:
    """Return the time to store with a change's mark, whether it counted or was a repetition."""
    return max(before_us, change.time_us) if before_us is not None and repeats(change, before_us) else change.time_us


def ttl_s(change: Change) -> int:
    """Return how long a change's mark is kept, in seconds."""
    return max(MARK_TTL_S, -(-change.span_us // 1_000_000))


@dataclass(frozen=True)
class Mark:
    """Value of a mark in an external store: the change's time, and a checksum of its keys."""

    time_us: int
    content: int

    def encoded(self, tag: bytes) -> bytes:
        """Encode as a value, with the tag of its writer."""
        return tag + _MARK.pack(self.content, self.time_us)

    @staticmethod
    def decoded(value: bytes | None) -> "Mark | None":
        """Decode a value, ignoring the tag; None where there is no value."""
        if value is None:
            return None
        content, time_us = _MARK.unpack(value[-_MARK.size :])
        return Mark(time_us, content)


def content_of(change: Change) -> int:
    """Return a checksum of a change's keys: equal for a retry, different for another list under the same mark."""
    return zlib.crc32("\x00".join([*(event.key for event in change.users), "", *sorted(event.key for event in change.items)]).encode())


def time_of(held: bytes | None) -> int | None:
    """Return the time in an encoded mark; None where there is no value."""
    mark = Mark.decoded(held)
    return None if mark is None else mark.time_us


def repetitions_of_others(changes: Mapping[int, Change], homes: Mapping[int, bytes], held: Mapping[bytes, bytes | None]) -> set[int]:
    """Return the changes with the mark of a different one, such as a second list under a request: they count nowhere.

    A call may be applied partly. Its retry is recognised by the checksum, and each shard then applies what it lacks.
    """
    now = {mark: Mark.decoded(held[mark]) for mark in homes.values()}
    repeated = set()
    for index, change in changes.items():
        before, content = now[homes[index]], content_of(change)
        if before is None or not repeats(change, before.time_us):
            now[homes[index]] = Mark(change.time_us, content)
            continue
        now[homes[index]] = Mark(remembered_us(change, before.time_us), before.content)
        if before.content != content:
            repeated.add(index)
    return repeated


_MARK = struct.Struct("<Iq")
