"""Which changes are repetitions of earlier ones, by their marks: one rule for all stores."""

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from serving.state.interface import Change

MARK_TTL_S = 3600  # how long a change is remembered at least, to tell its repetition


def repeats(change: Change, before_us: int | None) -> bool:
    """Whether a change repeats the last one with its mark, which was at `before_us`; None: there was none."""
    return before_us is not None and abs(change.time_us - before_us) <= change.span_us


def remembered_us(change: Change, before_us: int | None) -> int:
    """The time to be remembered with a change's mark, whether it counted or was a repetition."""
    return max(before_us, change.time_us) if before_us is not None and repeats(change, before_us) else change.time_us


def ttl_s(change: Change) -> int:
    """How long its mark is kept, in seconds."""
    return max(MARK_TTL_S, -(-change.span_us // 1_000_000))


@dataclass(frozen=True)
class Mark:
    """What a store apart remembers with a change's mark: when it was, and a checksum of what it changed."""

    time_us: int
    content: int

    def encoded(self, tag: bytes) -> bytes:
        """As a value, with the tag of its writer."""
        return tag + _MARK.pack(self.content, self.time_us)

    @staticmethod
    def decoded(value: bytes | None) -> "Mark | None":
        """The inverse, whoever wrote it; None where there is nothing."""
        if value is None:
            return None
        content, time_us = _MARK.unpack(value[-_MARK.size :])
        return Mark(time_us, content)


def content_of(change: Change) -> int:
    """A checksum of the keys that a change concerns: what is sent again has the same, another list under the same mark hasn't."""
    return zlib.crc32("\x00".join([*(event.key for event in change.users), "", *sorted(event.key for event in change.items)]).encode())


def time_of(held: bytes | None) -> int | None:
    """The time of a value that a mark was encoded as; None where there is nothing."""
    mark = Mark.decoded(held)
    return None if mark is None else mark.time_us


def repetitions_of_others(changes: Mapping[int, Change], homes: Mapping[int, bytes], held: Mapping[bytes, bytes | None]) -> set[int]:
    """Which changes repeat another one's mark, such as a second list under a request: they count nowhere.

    What a call takes in may be taken in partly; sent again it is told by what it changes, and each shard then says what it lacks.
    """
    now = {mark: Mark.decoded(held[mark]) for mark in homes.values()}
    found = set()
    for place, change in changes.items():
        before, content = now[homes[place]], content_of(change)
        if before is None or not repeats(change, before.time_us):
            now[homes[place]] = Mark(change.time_us, content)
            continue
        now[homes[place]] = Mark(remembered_us(change, before.time_us), before.content)
        if before.content != content:
            found.add(place)
    return found


_MARK = struct.Struct("<Iq")
