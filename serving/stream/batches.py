"""Join the messages of several partitions to one batch, and tell which of its events are late."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving.stream.interface import Messages
from serving.stream.state.event_batch import EventBatch
from serving.stream.state.positions import Position
from serving.stream.state.side_writer import Origin

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Joined:
    """N messages of several partitions, each partition's in order.

    Attributes:
        parts: of each partition.
        values: N payloads.
        index: (N,) partition of each.
        offsets: (N,) of each in its partition.
        times_us: (N,) when the source took each in; 0 where it doesn't say.
    """

    parts: Sequence[Messages]
    values: list[bytes]
    index: Ints
    offsets: Ints
    times_us: Ints


def joined(parts: Sequence[Messages]) -> Joined:
    """Join messages, which are of different partitions."""
    sizes = [len(part.values) for part in parts]
    return Joined(
        parts,
        [value for part in parts for value in part.values],
        np.repeat(np.arange(len(parts)), sizes),
        np.concatenate([part.offsets for part in parts]).astype(np.int64),
        np.concatenate([part.times_us for part in parts]).astype(np.int64),
    )


def origin_of(
    batch: EventBatch,
    messages: Joined,
    *,
    begins: Sequence[int],
    watermarks_us: Sequence[int],
    again_from: Mapping[str, int],
    lateness_us: int,
) -> Origin:
    """Return where a batch comes from; an event is late that is older by more than the lateness than one before it.

    Args:
        batch: the messages with events, in the order of `messages`.
        messages: all messages.
        begins: of each partition the position before them.
        watermarks_us: of each partition the time of the newest event before them.
        again_from: by partition the position from which messages may be read again.
        lateness_us: that is allowed.
    """
    index = messages.index[batch.rows]
    late, ends = np.zeros(len(batch.rows), np.bool_), []
    for at, part in enumerate(messages.parts):
        mine = np.flatnonzero(index == at)
        newest = np.maximum.accumulate(np.concatenate([[watermarks_us[at]], batch.times_us[mine]]))
        late[mine] = batch.times_us[mine] < newest[:-1] - lateness_us
        ends.append(Position(part.next_offset, int(newest[-1])))
    return Origin(
        partitions=[part.partition for part in messages.parts],
        begins=begins,
        ends=ends,
        again_from=[again_from[part.partition] for part in messages.parts],
        index=index,
        offsets=messages.offsets[batch.rows],
        late=late,
    )
