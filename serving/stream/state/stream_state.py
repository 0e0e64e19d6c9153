"""Apply batches of a stream to the state in Redis or a Redis Cluster, each message exactly once.

A script changes the keys of one group (see `serving.state.partitions`), the ids their shoppers have seen, and the
positions of the partitions that the changes come from, atomically and only where all of them hold what was read: so a
change is idempotent by partition and offset, whoever repeats it, and no broker's offsets are relied upon. The shoppers'
groups decide first which messages count; then the items' groups follow.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
import redis
from numpy.typing import NDArray

from components.contract.errors import InputError
from serving.state.interface import Plans
from serving.state.item_codes import ItemCodes
from serving.state.redis import shop_prefix, side_of
from serving.state.shards import COMPARE_AND_SET, Call, Shards
from serving.state.values import TAG_BYTES, tag_of
from serving.stream.state.decisions import COUNTED, FORGOTTEN
from serving.stream.state.event_batch import EventBatch
from serving.stream.state.packed_values import PackedValues
from serving.stream.state.positions import TTL_S, Position, floor_key, group_key
from serving.stream.state.side_writer import KeyWrite, Lifetimes, Origin, SideBatch, item_writes, user_writes

Held = dict[bytes, bytes | None]
Plan = Callable[[Held, Sequence[int]], Mapping[int, Sequence[KeyWrite]]]  # what to write to some groups, from what they hold


NO_VALUE = b"\0" * TAG_BYTES  # in place of the tag of a key that doesn't exist
# As COMPARE_AND_SET of serving.state.shards, for many keys: fewer arguments take less time on both sides.
# KEYS: the first one is set by every call. ARGV: the caller's tag; for each key the tag that it must have, joined; the number of numbers
# that follow: for each section of keys its size and TTL; the values of the sections' keys. Further keys are only compared.
COMPARE_AND_SET_MANY = """
if redis.call('GETRANGE', KEYS[1], 0, 7) == ARGV[1] then return {} end
local other = {}
for i, key in ipairs(KEYS) do
  local tag = redis.call('GETRANGE', key, 0, 7)
  if tag == '' then tag = '\\0\\0\\0\\0\\0\\0\\0\\0' end
  if tag ~= string.sub(ARGV[2], 8 * i - 7, 8 * i) then
    other[#other + 1] = i - 1
    other[#other + 1] = redis.call('GET', key) or ''
  end
end
if #other > 0 then return other end
local numbers = tonumber(ARGV[3])
local at = 0
for section = 1, numbers, 2 do
  local ttl = ARGV[3 + section + 1]
  for _ = 1, tonumber(ARGV[3 + section]) do
    at = at + 1
    redis.call('SET', KEYS[at], ARGV[3 + numbers + at], 'EX', ttl)
  end
end
return other
"""


class PositionMoved(Exception):  # noqa: N818 - not an error of this process
    """A partition isn't where this process left it: Redis lost its last writes. Read it again from `offset`.

    Of `groups_lost` Redis has lost all that they had, not only what this process wrote: what is read again isn't all of it.
    """

    def __init__(self, partition: str, offset: int, groups_lost: int = 0) -> None:
        super().__init__(f"{partition}: the state is at {offset:,}")
        self.partition, self.offset, self.groups_lost = partition, offset, groups_lost


@dataclass
class _GroupPosition:
    """What this process knows of a partition in a group of keys.

    Attributes:
        begin: the position up to which the group had the partition when this process first read it.
        begun: there was something of the partition in the group then.
        offset: the position that the store held last; None where it has none.
    """

    begin: int
    begun: bool
    offset: int | None


@final
class StreamState:
    """State of users and items that a stream changes.

    Args:
        client: of redis-py, single or cluster, with `decode_responses` off.
        shop: the dataset's name.
        plans: of both sides.
        codes: of the items in histories.
        gap_s: the pause after which a list under the same id is another one.
        lifetimes: of what is kept.
    """

    def __init__(
        self, client: "redis.Redis | redis.RedisCluster", *, shop: str, plans: Plans, codes: ItemCodes, gap_s: int, lifetimes: Lifetimes
    ) -> None:
        self._shards, self._lifetimes, self._gap_s = Shards(client), lifetimes, gap_s
        self._single = not isinstance(client, redis.RedisCluster)
        self._users = side_of(shop, "users", plans.users)
        self._items = side_of(shop, "items", plans.items) if plans.items else None
        self._packed = {side.prefix: PackedValues(side.plan, codes) for side in (self._users, self._items) if side}
        self._shop, self.codes = shop_prefix(shop), codes
        self._known: dict[bytes, _GroupPosition] = {}  # by the key of a group's position
        self.ids_dropped = 0

    def floor(self, partition: str) -> Position | None:
        """Return the position from which a partition isn't in the state yet; None where nothing of it is.

        Raises:
            StateUnavailable: Redis doesn't answer.
        """
        return Position.decoded(self._shards.command("GET", floor_key(self._users.prefix, partition)))

    def begin(self, partition: str, offset: int) -> None:
        """Set the floor of a partition that has none: what lies before it is in the state from elsewhere, or isn't wanted.

        Raises:
            StateUnavailable: Redis doesn't answer.
        """
        value = Position(offset).encoded(os.urandom(TAG_BYTES))
        self._shards.command("SET", floor_key(self._users.prefix, partition), value, "EX", TTL_S, "NX")

    def size(self) -> tuple[int, int]:
        """Return how many keys the store has, and how many bytes of memory it uses.

        Raises:
            StateUnavailable: Redis doesn't answer.
        """
        return self._shards.size()

    def release(self, partition: str) -> None:
        """Drop what this process knows of a partition that others may read from now on."""
        for key in self._known_keys(partition):
            del self._known[key]

    def apply(self, batch: EventBatch, origin: Origin) -> NDArray[np.int8]:
        """Apply a batch, and return (M,) what becomes of each message (`decisions.COUNTED` and so on).

        After an error the same call is safe, and so is a batch that is cut differently: what is in the state already
        isn't applied again, and gets the same answer as the first time.

        Raises:
            StateUnavailable: Redis doesn't answer; parts may be applied.
            PositionMoved: a partition must be read again.
            InputError: Redis has lost a partition's position, and so its state.
        """
        floors = self._floors(origin)
        origin = replace(origin, floors=[each.offset for each, _ in floors.values()])
        outcome = np.full(len(batch.rows), COUNTED, np.int8)
        if len(batch.rows):
            users = SideBatch(self._users, batch.users, batch, origin, self._packed[self._users.prefix], self._shop)
            touched = users.groups_of(batch.shoppers)
            self._run(users, touched, lambda held, groups: user_writes(users, held, groups, outcome, self._gap_s, self._lifetimes))
            self.ids_dropped += users.ids_dropped
        if self._items is not None and batch.items is not None and len(batch.items.messages):
            items = SideBatch(self._items, batch.items, batch, origin, self._packed[self._items.prefix], self._shop)
            counting = np.isin(outcome, (COUNTED, FORGOTTEN))[batch.items.messages]
            touched = items.groups_of(batch.items.keys[counting])
            self._run(items, touched, lambda held, groups: item_writes(items, held, groups, counting, self._lifetimes))
        self._raise_floors(floors, origin)
        return outcome

    def _floors(self, origin: Origin) -> dict[str, tuple[Position, bytes]]:
        """Return the floors of a batch's partitions, with their tags."""
        keys = [floor_key(self._users.prefix, name) for name in origin.partitions]
        held = self._shards.read(dict(enumerate([key] for key in keys)))
        floors = {}
        for name, key, begin in zip(origin.partitions, keys, origin.begins, strict=True):
            floor = Position.decoded(held[key])
            if floor is None:
                raise InputError(
                    f"Redis has lost the position of {name}, and so the state: was it emptied, or is it without persistence?"
                    " Load the state of the last ingestion again (--load), and start again"
                )
            if floor.offset < begin:
                raise PositionMoved(name, floor.offset)
            floors[name] = (floor, tag_of(held[key]))
        return floors

    def _run(self, side: SideBatch, groups: Sequence[int], plan: Plan) -> None:
        """Read the keys of some groups, and write each group until it holds what was read."""
        reads = {group: side.keys_of(group) for group in groups}
        held = self._shards.read({0: [key for keys in reads.values() for key in keys]} if self._single and reads else reads)
        self._require_positions(side, groups, held)
        left = list(groups)
        while left:
            writes = {group: each for group, each in plan(held, left).items() if each}
            calls = [_call(each) for each in writes.values()]
            answers = self._shards.run([call for call, _ in calls])
            left = []
            for group, (_, each), conflicts in zip(writes, calls, answers, strict=True):
                if conflicts:
                    left.append(group)
                    held |= {each[index].key: value or None for index, value in zip(conflicts[::2], conflicts[1::2], strict=True)}
                else:
                    for write in each:
                        if write.offset is not None:
                            self._known[write.key].offset = write.offset

    def _require_positions(self, side: SideBatch, groups: Sequence[int], held: Held) -> None:
        """Raise PositionMoved where a part of a cluster has lost its last writes; the floor goes back with it."""
        for group in groups:
            for partition, floor in zip(side.origin.partitions, side.origin.floors, strict=True):
                key = group_key(side.side.prefix, group, partition)
                now = Position.decoded(held[key])
                known = self._known.get(key)
                offset = None if now is None else now.offset
                if known is None:
                    self._known[key] = _GroupPosition(max(floor, offset or 0), offset is not None, offset)
                elif _is_behind(now, known):
                    self._go_back(partition)
                else:
                    known.offset = offset

    def _go_back(self, partition: str) -> None:
        """Set the floor of a partition back to what the store still has of it in every group, and raise PositionMoved.

        Of a group whose position is gone that is where this process began with it. No floor goes back further than
        that: a group without a position has what lies before it from elsewhere.
        """
        keys, key_of_floor = self._known_keys(partition), floor_key(self._users.prefix, partition)
        held = self._shards.read(dict(enumerate([key] for key in (*keys, key_of_floor))))
        floor, groups_lost = Position.decoded(held[key_of_floor]), 0
        offsets = [] if floor is None else [floor.offset]
        for key in keys:
            now, known = Position.decoded(held[key]), self._known[key]
            if _is_behind(now, known):
                offsets.append(known.begin if now is None else now.offset)
                groups_lost += now is None and known.begun
        back = Position(min(offsets))
        self._shards.command("SET", key_of_floor, back.encoded(os.urandom(TAG_BYTES)), "EX", TTL_S)
        self.release(partition)
        raise PositionMoved(partition, back.offset, groups_lost)

    def _known_keys(self, partition: str) -> list[bytes]:
        ending = b"\x00\x01" + partition.encode()
        return [key for key in self._known if key.endswith(ending)]

    def _raise_floors(self, floors: Mapping[str, tuple[Position, bytes]], origin: Origin) -> None:
        """Set the floors after a batch; another process that reads the same partition may have been quicker."""
        calls = []
        for name, end in zip(origin.partitions, origin.ends, strict=True):
            floor, held_tag = floors[name]
            if floor.offset < end.offset:
                tag = os.urandom(TAG_BYTES)
                args = [tag, 0, held_tag, end.encoded(tag), TTL_S]
                calls.append(Call(COMPARE_AND_SET, [floor_key(self._users.prefix, name)], args))
        if calls:
            self._shards.run(calls)


def _is_behind(now: Position | None, known: _GroupPosition) -> bool:
    """Return whether the store has lost what it held of a partition in a group."""
    return known.offset is not None and (now is None or now.offset < known.offset)


def _call(writes: Sequence[KeyWrite]) -> tuple[Call, list[KeyWrite]]:
    """Return the call that carries out a group's writes, and these in the order of its keys, positions first."""
    by_ttl: dict[int, list[KeyWrite]] = {}
    for write in writes:
        by_ttl.setdefault(0 if write.value is None else write.ttl_s, []).append(write)
    compared = by_ttl.pop(0, [])
    ordered = [write for some in by_ttl.values() for write in some]
    sections = [number for ttl_s, some in by_ttl.items() for number in (len(some), ttl_s)]
    held = b"".join([tag_of(write.held) or NO_VALUE for write in (*ordered, *compared)])
    tag = tag_of(ordered[0].value)
    args: list[bytes | int | None] = [tag, held, len(sections), *sections, *(write.value for write in ordered)]
    return Call(COMPARE_AND_SET_MANY, [write.key for write in (*ordered, *compared)], args), [*ordered, *compared]
