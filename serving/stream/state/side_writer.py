"""Compute what a batch writes: for each group of keys the positions, the states, and the ids of its shoppers."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from components.state.reducer import EventRows as ReducerRows
from components.state.reducer import rules
from components.state.replay import apply_rows
from serving.state.change_groups import Side
from serving.state.marks import time_of
from serving.state.partitions import partition_of, partitioned
from serving.state.redis import ids_key, tombstone_key
from serving.state.values import TAG_BYTES
from serving.stream.state import seen_ids
from serving.stream.state.decisions import Arrivals, decide
from serving.stream.state.event_batch import NO_LIST, EventBatch, EventRows
from serving.stream.state.packed_values import PackedValues
from serving.stream.state.positions import TTL_S, Position, group_key

Ints = NDArray[np.int64]
Held = Mapping[bytes, bytes | None]
_NEVER = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Lifetimes:
    """How long the store keeps what.

    Attributes:
        ttl_s: a key, after its last event.
        ids_ttl_s: the ids of a shopper, after the last event.
        window_us: ids of events, in event time before the newest one of their partition.
    """

    ttl_s: int
    ids_ttl_s: int
    window_us: int


class KeyWrite(NamedTuple):
    """Set a key that must hold `held`, or without a value only compare it; of a position with the offset that it says."""

    key: bytes
    held: bytes | None
    value: bytes | None
    ttl_s: int = 0
    offset: int | None = None


class KeyNames(NamedTuple):
    """Keys of a shopper or an item: of the state, of the remembered ids, of the tombstone; and the group of all three."""

    state: bytes
    ids: bytes
    tombstone: bytes
    group: int


@lru_cache(maxsize=1 << 17)
def _key_names(prefix: bytes, shop: bytes, name: str) -> KeyNames:
    state = prefix + partitioned(name)
    return KeyNames(state, ids_key(state), tombstone_key(shop, name), partition_of(name.encode()))


@dataclass(frozen=True)
class Origin:
    """Where the M messages of a batch come from.

    Attributes:
        partitions: names of the partitions.
        begins: of each partition the position before the batch.
        ends: of each partition the position after it, with the watermark there.
        again_from: of each partition the position from which messages may be read again after a crash.
        index: (M,) partition of each message.
        offsets: (M,) of the messages.
        late: (M,) messages older than the allowed lateness.
        floors: of each partition the position up to which all of the state has it.
    """

    partitions: Sequence[str]
    begins: Sequence[int]
    ends: Sequence[Position]
    again_from: Sequence[int]
    index: Ints
    offsets: Ints
    late: NDArray[np.bool_]
    floors: Sequence[int] = ()


@final
class SideBatch:
    """A batch's rows on the keys of one side, with the names of the keys in the store."""

    def __init__(self, side: Side, rows: EventRows, batch: EventBatch, origin: Origin, packed: PackedValues, shop: bytes) -> None:
        self.side, self.rows, self.batch, self.origin, self.packed = side, rows, batch, origin, packed
        names = [_key_names(side.prefix, shop, name) for name in rows.names]
        self.keys = [each.state for each in names]
        self.ids = [each.ids for each in names]
        self.tombstones = [each.tombstone for each in names]
        self.groups = [each.group for each in names]
        self.group = np.array(self.groups, np.int64)
        self.is_users = rows is batch.users
        self.guests = batch.guests.tolist() if self.is_users else [False] * len(names)
        self.tag = os.urandom(TAG_BYTES)
        self.ids_dropped = 0  # since their shopper had too many

    def groups_of(self, keys: Ints) -> list[int]:
        """Return the groups that some keys belong to."""
        groups: list[int] = np.unique(self.group[keys]).tolist()
        return groups

    def position_keys(self, group: int) -> list[bytes]:
        """Return the keys of the partitions' positions in a group."""
        return [group_key(self.side.prefix, group, partition) for partition in self.origin.partitions]

    def keys_of(self, group: int) -> list[bytes]:
        """Return all keys to read of a group."""
        keys = self.position_keys(group)
        for name in np.flatnonzero(self.group == group).tolist():
            if self.is_users:
                keys.append(self.ids[name])
                if self.guests[name]:
                    continue
                keys.append(self.tombstones[name])
            keys.append(self.keys[name])
        return keys

    def positions(self, held: Held, groups: Sequence[int]) -> Ints:
        """Return (64, partitions) up to where the groups' keys have each partition."""
        positions = np.tile(np.array(self.origin.floors, np.int64), (int(self.group.max(initial=0)) + 1, 1))
        for group in groups:
            for at, key in enumerate(self.position_keys(group)):
                position = Position.decoded(held[key])
                if position is not None:
                    positions[group, at] = max(positions[group, at], position.offset)
        return positions

    def position_writes(self, held: Held, positions: Ints, touched: NDArray[np.bool_]) -> dict[int, list[KeyWrite]]:
        """Return the writes of positions, by group; `touched` (64, partitions) are those with messages."""
        writes: dict[int, list[KeyWrite]] = {}
        for group, at in zip(*(index.tolist() for index in np.nonzero(touched)), strict=True):
            end = self.origin.ends[at]
            if positions[group, at] < end.offset:
                key = group_key(self.side.prefix, group, self.origin.partitions[at])
                writes.setdefault(group, []).append(KeyWrite(key, held[key], end.encoded(self.tag), TTL_S, end.offset))
        return writes


def user_writes(
    side: SideBatch, held: Held, groups: Sequence[int], outcome: NDArray[np.int8], gap_s: int, lifetimes: Lifetimes
) -> dict[int, list[KeyWrite]]:
    """Return what a batch writes to some groups of shoppers; sets the `outcome` of their messages."""
    batch, origin = side.batch, side.origin
    positions = side.positions(held, groups)
    group = side.group[batch.shoppers]
    messages = np.flatnonzero(np.isin(group, groups))
    messages = messages[np.argsort(batch.shoppers[messages], kind="stable")]
    names, key = np.unique(batch.shoppers[messages], return_inverse=True)
    seen = seen_ids.decode([held[side.ids[name]] for name in names.tolist()])
    marks = [None if side.guests[name] else held[side.tombstones[name]] for name in names.tolist()]
    until_us = [_NEVER if mark is None or (until := time_of(mark)) is None else until for mark in marks]
    codes = np.array([seen_ids.partition_code(name) for name in origin.partitions], np.uint32)
    at = origin.index[messages]
    decisions = decide(
        Arrivals(
            keys=key,
            ids=batch.ids[messages],
            lists=batch.lists[messages],
            partitions=codes[at],
            offsets=origin.offsets[messages],
            times_us=batch.times_us[messages],
            spans_s=batch.spans_s[messages],
            gap_s=gap_s,
            late=origin.late[messages],
            applied=origin.offsets[messages] < positions[group[messages], at],
            forgotten_us=np.array(until_us, np.int64)[key],
        ),
        seen,
    )
    outcome[messages] = decisions.outcome
    touched = np.zeros(positions.shape, np.bool_)
    touched[group[messages], at] = True
    writes = side.position_writes(held, positions, touched)
    applies, begins = np.zeros(len(batch.rows), np.bool_), np.zeros(len(batch.rows), np.int64)
    applies[messages], begins[messages] = decisions.applies, decisions.begins
    changed, values = _states(side, held, np.flatnonzero(applies[side.rows.messages]), begins)
    for name, value in zip(changed.tolist(), values, strict=True):
        mine, key_name, tombstone = writes[side.groups[name]], side.keys[name], side.tombstones[name]
        if held[key_name] is None:  # forgetting changes a state that is there: then its own tag tells
            mine.append(KeyWrite(tombstone, held[tombstone], None))
        mine.append(KeyWrite(key_name, held[key_name], value, lifetimes.ttl_s))
    if len(decisions.added.ids):
        window_s = lifetimes.window_us // 1_000_000
        expiry = {
            code: seen_ids.Expiry(again_from, end.watermark_us // 1_000_000 - window_s)
            for code, again_from, end in zip(codes.tolist(), origin.again_from, origin.ends, strict=True)
        }
        ids, dropped = seen_ids.extended(seen, decisions.added, expiry)
        side.ids_dropped += dropped
        encoded = seen_ids.encode(ids, side.tag)
        remembering = np.unique(decisions.added.keys)
        for index, name in zip(remembering.tolist(), names[remembering].tolist(), strict=True):
            ids_name = side.ids[name]
            writes[side.groups[name]].append(KeyWrite(ids_name, held[ids_name], encoded[index], lifetimes.ids_ttl_s))
    return writes


def item_writes(
    side: SideBatch, held: Held, groups: Sequence[int], counting: NDArray[np.bool_], lifetimes: Lifetimes
) -> dict[int, list[KeyWrite]]:
    """Return what a batch writes to some groups of items: the rows `counting` (R,) that aren't in them yet."""
    rows, origin = side.rows, side.origin
    positions = side.positions(held, groups)
    group, at = side.group[rows.keys], origin.index[rows.messages]
    mine = counting & np.isin(group, groups)
    touched = np.zeros(positions.shape, np.bool_)
    touched[group[mine], at[mine]] = True
    writes = side.position_writes(held, positions, touched)
    new = mine & (origin.offsets[rows.messages] >= positions[group, at])
    changed, values = _states(side, held, np.flatnonzero(new), np.ones(len(side.batch.rows), np.int64))
    for name, value in zip(changed.tolist(), values, strict=True):
        writes[side.groups[name]].append(KeyWrite(side.keys[name], held[side.keys[name]], value, lifetimes.ttl_s))
    return writes


def _states(side: SideBatch, held: Held, rows: Ints, begins: Ints) -> tuple[Ints, list[bytes]]:
    """Return the keys that some rows change, and their values afterwards; `begins` (M,) by message."""
    order = rows[np.argsort(side.rows.keys[rows], kind="stable")]
    changed, key = np.unique(side.rows.keys[order], return_inverse=True)
    if not len(changed):
        return changed, []
    part = side.rows
    state = side.packed.decode([held[side.keys[name]] for name in changed.tolist()])
    events = ReducerRows(
        keys=key,
        times_us=part.times_us[order],
        skews_us=part.skews_us[order],
        actions=part.actions[order],
        items=part.items[order],
        sessions=part.sessions[order],
        events=_begins(part.messages[order], part.lists[order], begins),
    )
    apply_rows(state, events, rules(side.side.plan))
    return changed, side.packed.encode(state, [side.tag] * len(changed))


def _begins(messages: Ints, lists: NDArray[np.uint64], begins: Ints) -> Ints:
    """Return (R,) 1 for rows that begin an event: the first of a message's list, unless another message has begun it."""
    goes_on = np.zeros(len(messages), np.bool_)
    goes_on[1:] = (messages[1:] == messages[:-1]) & (lists[1:] != NO_LIST) & (lists[1:] == lists[:-1])
    return np.where(goes_on, 0, begins[messages])
