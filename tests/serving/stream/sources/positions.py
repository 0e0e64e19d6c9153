"""Positions of partitions, as a consumer keeps them, and what it was told of partitions."""

import time
from collections.abc import Callable, Mapping, Sequence

from serving.stream.interface import Messages, Source

DEADLINE_S = 120.0


class Positions:
    """Positions in memory; a test sets `fault` to have the next question fail."""

    def __init__(self, offsets: Mapping[str, int] | None = None) -> None:
        self.offsets = dict(offsets or {})
        self.log: list[tuple[str, tuple[str, ...]]] = []
        self.fault: Exception | None = None

    def assigned(self, partitions: Sequence[str]) -> Mapping[str, int | None]:
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault
        self.log.append(("assigned", tuple(sorted(partitions))))
        return {partition: self.offsets.get(partition) for partition in partitions}

    def revoked(self, partitions: Sequence[str]) -> None:
        self.log.append(("revoked", tuple(sorted(partitions))))

    def take(self, messages: Sequence[Messages]) -> list[bytes]:
        """Move the positions after messages, whose offsets must ascend."""
        values: list[bytes] = []
        for part in messages:
            offsets = part.offsets.tolist()
            assert offsets == sorted(set(offsets))
            assert len(offsets) == len(part.values) == len(part.times_us)
            assert not offsets or offsets[0] >= self.offsets.get(part.partition, 0)
            assert part.next_offset > (offsets[-1] if offsets else -1)
            self.offsets[part.partition] = part.next_offset
            values += part.values
        return values


def read(source: Source, positions: Positions, number: int, *, most: int = 1_000) -> list[bytes]:
    """Poll until there are so many messages."""
    values: list[bytes] = []
    deadline = time.monotonic() + DEADLINE_S
    while len(values) < number:
        assert time.monotonic() < deadline, f"{len(values)} of {number} messages"
        values += positions.take(source.poll(most=most, timeout_s=0.5))
    return values


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)
