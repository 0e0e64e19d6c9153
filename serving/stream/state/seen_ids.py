"""Remember which messages a shopper's state has seen: their ids, with the position that each was first seen at.

The position tells a message that is read again after a crash (it counted, and still does) from another one with the
same content (it repeats the first, and doesn't count). Ids are kept for a window of the event time of their partition, and
besides as long as a position from which its messages may be read again lies before them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from components.state.jit import compiled
from serving.state.values import TAG_BYTES

Ints = NDArray[np.int64]
ENTRY = np.dtype([("id", "<u8"), ("offset", "<i8"), ("partition", "<u4"), ("time_s", "<u4")])
MOST = 4_096  # ids of one shopper; beyond it the oldest go first, and are counted
NOBODY = -1


@dataclass(frozen=True)
class Seen:
    """Ids of K shoppers: those of shopper k are entries `ends[k - 1]` to `ends[k]`, in the order of their arrival."""

    entries: NDArray[np.void]
    ends: Ints


@dataclass(frozen=True)
class Sighting:
    """Ids of N rows, sorted by shopper, and within one in the order of their arrival."""

    keys: Ints  # (N,) index of the shopper
    ids: NDArray[np.uint64]
    partitions: NDArray[np.uint32]  # by `partition_code`
    offsets: Ints
    times_s: Ints
    spans_s: Ints  # a later one with the same id is a repetition if it follows by no more than this


def partition_code(partition: str) -> int:
    """Return the number that stands for a partition in entries."""
    return crc32(partition.encode())


def decode(values: Sequence[bytes | None]) -> Seen:
    """Decode the values of K shoppers; None where nothing is remembered."""
    blobs = [b"" if value is None else value[TAG_BYTES:] for value in values]
    ends = np.cumsum([len(blob) // ENTRY.itemsize for blob in blobs])
    return Seen(np.frombuffer(bytearray(b"".join(blobs)), ENTRY), ends.astype(np.int64))


def holders(seen: Seen, rows: Sighting) -> tuple[Ints, NDArray[np.uint32]]:
    """Return for each row the offset and the partition's code at which its id was first seen; NOBODY: never before.

    A row counts as one that has seen its id: later rows with the same find it. A repetition moves the id's time on, in
    `seen`: the span runs from the last one.
    """
    offsets, partitions = np.full(len(rows.keys), NOBODY, np.int64), np.zeros(len(rows.keys), np.uint32)
    entries = [np.ascontiguousarray(seen.entries[name]) for name in ("id", "offset", "partition", "time_s")]
    columns = (rows.keys, rows.ids, rows.partitions, rows.offsets, rows.times_s, rows.spans_s)
    _holders(entries[0], entries[1], entries[2], entries[3], seen.ends, *columns, offsets, partitions)
    seen.entries["time_s"] = entries[-1]
    return offsets, partitions


@dataclass(frozen=True)
class Expiry:
    """Which ids of a partition's messages aren't needed any more: those before an offset and before a time.

    Ids that come from other partitions than a batch stay: only their own reader knows how far they may be read again.
    """

    offset: int
    time_s: int


def extended(seen: Seen, added: Sighting, expiry: Mapping[int, Expiry]) -> tuple[Seen, int]:
    """Add ids, and drop those that have expired.

    Args:
        seen: the ids so far.
        added: further ones, in any order of their shoppers.
        expiry: by partition's code.

    Returns:
        The ids, and how many had to go though they hadn't expired: a shopper has MOST at most.
    """
    new = np.zeros(len(added.ids), ENTRY)
    for name, values in (("id", added.ids), ("offset", added.offsets), ("partition", added.partitions), ("time_s", added.times_s)):
        new[name] = values
    keys = np.concatenate([np.repeat(np.arange(len(seen.ends)), np.diff(seen.ends, prepend=0)), added.keys])
    entries = np.concatenate([seen.entries, new])
    kept = np.ones(len(entries), np.bool_)
    for code, until in expiry.items():
        kept &= (entries["partition"] != code) | (entries["offset"] >= until.offset) | (entries["time_s"] >= until.time_s)
    keys, entries = keys[kept], entries[kept]
    order = np.argsort(keys, kind="stable")
    keys, entries = keys[order], entries[order]
    sizes = np.bincount(keys, minlength=len(seen.ends))
    if sizes.max(initial=0) <= MOST:
        return Seen(entries, np.cumsum(sizes)), 0
    left = np.cumsum(sizes)[keys] - np.arange(len(keys))  # entries of the shopper from this one on
    fits = left <= MOST
    return Seen(entries[fits], np.cumsum(np.minimum(sizes, MOST))), int((~fits).sum())


def encode(seen: Seen, tag: bytes) -> list[bytes]:
    """Encode the ids of each shopper."""
    laid, stops = seen.entries.tobytes(), (seen.ends * ENTRY.itemsize).tolist()
    return [tag + laid[start:stop] for start, stop in zip([0, *stops[:-1]], stops, strict=True)]


@compiled
def _holders(
    held_ids: NDArray[np.uint64], held_offsets: Ints, held_partitions: NDArray[np.uint32], held_times: NDArray[np.uint32], ends: Ints,
    keys: Ints, ids: NDArray[np.uint64], partitions: NDArray[np.uint32], offsets: Ints, times: Ints, spans: Ints,
    out_offsets: Ints, out_partitions: NDArray[np.uint32],
) -> None:  # fmt: skip
    first = 0  # of the row's shopper
    for row in range(keys.shape[0]):
        key = keys[row]
        if keys[first] != key:
            first = row
        for entry in range(ends[key - 1] if key else 0, ends[key]):
            if held_ids[entry] != ids[row]:
                continue
            own = held_offsets[entry] == offsets[row] and held_partitions[entry] == partitions[row]
            if own or abs(times[row] - np.int64(held_times[entry])) <= spans[row]:
                held_times[entry] = np.uint32(max(np.int64(held_times[entry]), times[row]))
                out_offsets[row], out_partitions[row] = held_offsets[entry], held_partitions[entry]
                break
        else:
            for other in range(first, row):
                if ids[other] == ids[row] and abs(times[row] - times[other]) <= spans[row]:
                    out_offsets[row], out_partitions[row] = offsets[other], partitions[other]
                    break
