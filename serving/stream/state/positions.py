"""Keep how far each partition of the source is in the state, beside the state itself.

Two kinds of positions, both values with a tag as all values of the store:

- of a partition in a *group* of keys, written by the script that changes these keys: what lies before it is in them;
- of a partition in all groups, its *floor*, written after them: from there a process begins to read. It carries the
  watermark, the time of the newest event before it.

A group that none of a batch's events belong to keeps its position: the floor holds for it if that is further on.
"""

import struct
from dataclasses import dataclass

from serving.state.partitions import TAGS
from serving.state.values import TAG_BYTES

_POSITION = struct.Struct("<qq")
NO_WATERMARK = -1
TTL_S = 10 * 365 * 24 * 3600  # of a position: longer than any source keeps messages


@dataclass(frozen=True)
class Position:
    """The offset from which on a partition's messages aren't in the state, and the watermark there."""

    offset: int
    watermark_us: int = NO_WATERMARK

    def encoded(self, tag: bytes) -> bytes:
        """Encode as a value, with the tag of its writer."""
        return tag + _POSITION.pack(self.offset, self.watermark_us)

    @staticmethod
    def decoded(value: bytes | None) -> "Position | None":
        """Decode a value; None where there is none."""
        return None if value is None else Position(*_POSITION.unpack(value[TAG_BYTES:]))


def group_key(prefix: bytes, group: int, partition: str) -> bytes:
    """Return the key of a partition's position in a group of a side's keys."""
    return prefix + TAGS[group] + b"\x00\x01" + partition.encode()


def floor_key(prefix: bytes, partition: str) -> bytes:
    """Return the key of a partition's floor."""
    return prefix + b"{" + partition.encode() + b"}\x00floor"
