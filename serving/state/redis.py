"""Keep the state in Redis or a Redis Cluster, shared by any number of services.

A request takes one round trip; a call's changes take two, whatever their number: all their keys are read, and written
by compare-and-set (optimistic concurrency). A script writes its keys and the changes' marks atomically; so a repetition
by a client, redis-py or another service counts once.

A key is `sr:<schema version>:{partition}<id>`; the schema version is a digest of the shop's name, the side, the plan
and the layout of values, so a service with another dataset file neither misreads nor overwrites the values. Tombstones
are shared by all versions of a shop.
"""

import hashlib
import itertools
import logging
import os
import random
import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from components.contract.errors import StateUnavailable
from components.state.plan import StatePlan
from components.state.read_batch import read_rows
from components.state.reducer import Features, blank, rules
from components.state.store import Event, apply_events
from serving.state.change_groups import Group, Side, batches, keys_of, merge_overlapping, split_in_half
from serving.state.interface import Change, Known, Plans
from serving.state.item_codes import ItemCodes
from serving.state.marks import Mark, content_of, remembered_us, repeats, repetitions_of_others, time_of, ttl_s
from serving.state.partitions import TAGS, partition_of, partitioned
from serving.state.shards import ADD_UNLESS, COMPARE_AND_SET, REPLACE_BY, Call, Shards
from serving.state.snapshot import keys_in, parts
from serving.state.tombstones import RETENTION_S, digest_of
from serving.state.values import TAG_BYTES, decoded, encoded, schema_version, tag_of

_LOG = logging.getLogger(__name__)
LOADED_AT_A_TIME = 2_000
ATTEMPTS = 8  # then changes are halved: the fewer keys, the fewer conflicts with other writers
ERASURE_REQUEST_S = 7 * 24 * 3600  # how long an erasure from logs is requested: a service that is down for longer must erase by hand
CALL_RETRIES = 2  # of a call that the connection broke
PAUSE_S = 0.002  # at most, before a retry after a conflict
DELETED, LEFT = 0, -1  # in place of a TTL: delete the key, or leave it unchanged
Held = dict[bytes, bytes | None]


@dataclass(frozen=True)
class _Write:
    """Compare-and-set of a key: the value it must hold, and the value and TTL to set, or LEFT to only compare."""

    key: bytes
    held: bytes | None
    value: bytes = b""
    ttl_s: int = LEFT


@dataclass(frozen=True)
class _Plan:
    """Writes of a group: its marks, the events that count by key, and the changes that count."""

    marks: list[_Write]
    events: dict[bytes, list[Event]]
    counted: set[int]


@dataclass(frozen=True)
class RecordedChanges:
    """Result of `record_all`.

    Attributes:
        counted: for each change, whether it counted; else it was a repetition.
        undo: reverts the changes, except on keys that have been written again since.
    """

    counted: tuple[bool, ...]
    undo: Callable[[], None]


@final
class RedisStates:
    """State store in one Redis or Redis Cluster.

    Args:
        client: of redis-py, single or cluster, with `decode_responses` off; timeouts and retries are the caller's
            choice: a call may be repeated.
        shop: the dataset's name.
        plans: of both sides.
        codes: of the items in histories.
        ttl_s: how long a key is kept after its last event.
        key_of: the name under which whoever writes the state keeps a shopper; default: the id.
    """

    def __init__(
        self,
        client: "redis.Redis | redis.RedisCluster",
        *,
        shop: str,
        plans: Plans,
        codes: ItemCodes,
        ttl_s: int,
        key_of: Callable[[str], str] | None = None,
    ) -> None:
        self._shards, self._codes, self._ttl_s, self._key_of = Shards(client), codes, ttl_s, key_of
        self._users = side_of(shop, "users", plans.users)
        self._items = side_of(shop, "items", plans.items) if plans.items else None
        self._shop = shop_prefix(shop)

    def announce(self) -> None:
        """Register this schema version: a shopper is erased from all versions that a service has registered.

        Raises:
            StateUnavailable: it couldn't be registered.
        """
        self._shards.command("ZADD", self._versions, int(time.time()), self._users.prefix)
        self._shards.command("ZREMRANGEBYSCORE", self._versions, "-inf", int(time.time()) - 4 * self._ttl_s)

    def known(self, shopper: str, items: list[str], time_us: int, *, session: int = 0) -> Known:
        """See StateStores."""
        if self._key_of is not None:
            shopper = self._key_of(shopper)
        user = self._users.key(shopper)
        of_items = [] if self._items is None else [self._items.key(item) for item in items]
        where = _grouped([(self._shards.group(shopper), user), *zip(map(self._shards.group, items), of_items, strict=False)])
        held = self._shards.read(where)
        features = self._features(self._users.plan, [held[user]], time_us, session=session)
        if self._items is None:
            return Known(features, None)
        return Known(features, self._features(self._items.plan, [held[key] for key in of_items], time_us, session=0))

    def record(self, change: Change) -> bool:
        """See StateStores."""
        return self.record_all([change]).counted[0]

    def record_all(self, changes: Sequence[Change], *, until_s: float | None = None) -> RecordedChanges:
        """Apply changes, in their order: all of them, or after an error none, as far as Redis answers.

        Args:
            changes: those that the store has already are repetitions, and don't count again.
            until_s: deadline by the monotonic clock: nothing is written after it, not even by a call that reaches Redis
                later.

        Raises:
            StateUnavailable: they aren't applied. Where the connection broke some may be; sending all of them again is
                safe.
        """
        counted: set[int] = set()
        done: list[list[_Write]] = []
        try:
            for some in batches(changes):
                counted |= self._record_some(some, until_s, done)
        except BaseException:
            self._undo(done)
            raise
        return RecordedChanges(tuple(index in counted for index in range(len(changes))), lambda: self._undo(done))

    def forget(self, shopper: str, *, time_us: int = 0) -> None:
        """See StateStores."""
        prefixes = {self._users.prefix, *self._shards.command("ZRANGE", self._versions, 0, -1)}
        names = [prefix + partitioned(shopper) for prefix in sorted(prefixes)]
        keys = [self._tombstone(shopper), *names, *map(ids_key, names)]
        # The tombstone's new tag fails the compare-and-set of changes that were read before.
        self._shards.run([Call(REPLACE_BY, keys, [Mark(time_us, 0).encoded(os.urandom(TAG_BYTES)), RETENTION_S])])

    def ask_logs(self, keys: Sequence[str], *, time_us: int) -> None:
        """Ask all services that share the store to erase a shopper from their logs; the request is kept for a week.

        Raises:
            StateUnavailable: the request may not be stored.
        """
        for key in keys:
            self._shards.command("ZADD", self._shop + b"erase", "GT", time_us, key)
        self._shards.command("ZREMRANGEBYSCORE", self._shop + b"erase", "-inf", time_us - ERASURE_REQUEST_S * 1_000_000)

    def asked_of_logs(self) -> dict[str, int]:
        """Return the erasures requested of logs: key to the end of the erased time, in microseconds since 1970.

        Raises:
            StateUnavailable: they couldn't be read.
        """
        entries = self._shards.command("ZRANGE", self._shop + b"erase", 0, -1, "WITHSCORES")
        pairs = zip(entries[::2], entries[1::2], strict=True) if entries and not isinstance(entries[0], (list, tuple)) else entries
        return {key.decode(): int(float(time_us)) for key, time_us in pairs}

    def load(self, folder: Path, *, progress: Callable[[int, int], None] | None = None, forgotten: Container[str] = frozenset()) -> int:
        """Load a saved state, such as the pipeline's.

        Existing keys stay, as live events have written them later; shoppers with a tombstone are left out.

        Args:
            folder: in the layout of `serving.state.snapshot`.
            progress: called with the number of keys done, and of all.
            forgotten: further shoppers to leave out.

        Returns:
            The number of keys written.
        """
        sides = [("users", self._users), *([("items", self._items)] if self._items else [])]
        total, done, written = sum(keys_in(folder, name) for name, _ in sides), 0, 0
        for name, side in sides:
            for part in parts(folder, name, side.plan, self._codes):
                for first in range(0, len(part.keys), LOADED_AT_A_TIME):
                    some = range(first, min(first + LOADED_AT_A_TIME, len(part.keys)))
                    tags = [os.urandom(TAG_BYTES) for _ in some]
                    values = encoded(side.plan, part.state, some, tags, self._codes)
                    names = [part.keys[row] for row in some]
                    written += self._add(
                        side, [pair for pair in zip(names, values, strict=True) if side is not self._users or pair[0] not in forgotten]
                    )
                    done += len(some)
                    if progress is not None:
                        progress(done, total)
        return written

    def _add(self, side: Side, pairs: Iterable[tuple[str, bytes]]) -> int:
        keys: dict[int, list[bytes]] = {}
        args: dict[int, list[Any]] = {}
        for name, value in pairs:
            group, key = self._shards.group(name), side.key(name)
            keys.setdefault(group, []).extend([key, self._tombstone(name) if side is self._users else key])
            args.setdefault(group, [self._ttl_s]).append(value)
        return sum(self._shards.run([Call(ADD_UNLESS, keys[group], args[group]) for group in keys]))

    def _record_some(self, changes: Mapping[int, Change], until_s: float | None, done: list[list[_Write]]) -> set[int]:
        """Apply the changes of one round trip; return the indices of those that count.

        Groups without a common key are written by scripts of their own, so that a contended key delays only its group.
        Appends to `done` what may have been written.
        """
        tag = os.urandom(TAG_BYTES)
        shards, home_marks = self._groups_of(changes)
        groups = [(number, group) for number, some in shards.items() for group in some]
        held, clocks = self._shards.read_at({number: keys_of(some) for number, some in shards.items()})
        read_s = time.monotonic()
        deadline_us = {number: _server_deadline_us(clock_us, read_s, until_s) for number, clock_us in clocks.items()}
        counted: set[int] = set()
        for attempt in itertools.count(1):
            others = repetitions_of_others(changes, home_marks, held)
            plans = [self._plan(group, changes, others, held, tag) for _, group in groups]
            self._compute_values([group for _, group in groups], plans, held, tag)
            group_writes = [self._writes(group, plan, held) for (_, group), plan in zip(groups, plans, strict=True)]
            try:
                answers = self._shards.run(
                    [_call(writes, tag, deadline_us[number]) for (number, _), writes in zip(groups, group_writes, strict=True) if writes]
                )
            except StateUnavailable:
                done += group_writes
                raise
            late, left, entries = False, list[tuple[int, Group]](), iter(answers)
            for (number, group), plan, writes in zip(groups, plans, group_writes, strict=True):
                conflicts = next(entries) if writes else []
                if not conflicts:
                    counted |= plan.counted
                    done.append(writes)
                    continue
                left.append((number, group))
                if conflicts == [-1]:
                    late = True
                else:
                    held |= _changed(group, writes, conflicts)
            if not left:
                return counted
            if late or (until_s is not None and time.monotonic() >= until_s):
                raise StateUnavailable("the state store couldn't take the events in time; send them again later")
            if attempt == ATTEMPTS and len(changes) > 1:
                return counted.union(*(self._record_some(some, until_s, done) for some in split_in_half(changes, left)))
            groups = left
            time.sleep(random.random() * PAUSE_S * min(attempt, 10))  # another writer succeeded, so the system makes progress
        raise AssertionError

    def _groups_of(self, changes: Mapping[int, Change]) -> tuple[dict[int, list[Group]], dict[int, bytes]]:
        """Return the groups of the changes by shard, and for each change the mark key that its repetitions share."""
        shards: dict[int, list[Group]] = {}
        home_marks: dict[int, bytes] = {}
        for index, change in changes.items():
            group_of: dict[int, Group] = {}
            sides = [(self._users, change.users), *([(self._items, change.items)] if self._items else [])]
            for side, events in sides:
                for event in events:
                    key, group = side.key(event.key), group_of.setdefault(self._shards.group(event.key), Group())
                    group.events.setdefault(key, []).append((index, event))
                    group.sides[key] = side
                    if side is self._users:
                        group.tombstones[key] = self._tombstone(event.key)
            home = self._shards.group(change.users[0].key if change.users else change.mark.hex())
            group_of.setdefault(home, Group())
            for number, group in group_of.items():
                group.marks.append((index, self._mark(number, change)))
                shards.setdefault(number, []).append(group)
            home_marks[index] = self._mark(home, change)
        return {number: merge_overlapping(groups) for number, groups in shards.items()}, home_marks

    def _plan(self, group: Group, changes: Mapping[int, Change], others: Container[int], held: Held, tag: bytes) -> _Plan:
        """Decide which changes of a group count; no marks where nothing is to be written."""
        times = {mark: Mark.decoded(held[mark]) for _, mark in group.marks}
        marks: dict[bytes, _Write] = {}
        counted = set()
        for index, mark in group.marks:
            change, before = changes[index], times[mark]
            before_us = None if before is None else before.time_us
            if index in others and before is None:
                continue
            if counts := index not in others and not repeats(change, before_us):
                counted.add(index)
            content = content_of(change) if before is None or counts else before.content
            times[mark] = now = Mark(remembered_us(change, before_us), content)
            if counts or now != before:
                longest_s = max(ttl_s(change), marks[mark].ttl_s if mark in marks else 0)
                marks[mark] = _Write(mark, held[mark], now.encoded(tag), longest_s)
        until_us = {key: time_of(held[tombstone]) for key, tombstone in group.tombstones.items()}
        events: dict[bytes, list[Event]] = {}
        for key, happened in group.events.items():
            forgotten_us = until_us.get(key)
            counting = [event for index, event in happened if index in counted and (forgotten_us is None or event.time_us > forgotten_us)]
            if counting:
                events[key] = counting
        return _Plan(list(marks.values()), events, counted)

    def _compute_values(self, groups: Sequence[Group], plans: Sequence[_Plan], held: Held, tag: bytes) -> None:
        """Compute the values of all keys with counting events, except those computed by an earlier attempt."""
        for side in (self._users, *([self._items] if self._items else [])):
            pending = [
                (group, key, events)
                for group, plan in zip(groups, plans, strict=True)
                for key, events in plan.events.items()
                if group.sides[key] is side and key not in group.computed
            ]
            if not pending:
                continue
            state = decoded(side.plan, [held[key] for _, key, _ in pending], self._codes)
            rows = [row for row, (_, _, events) in enumerate(pending) for _ in events]
            apply_events(side.plan, state, rows, [event for _, _, events in pending for event in events], rules(side.plan))
            values = encoded(side.plan, state, range(len(pending)), [tag] * len(pending), self._codes)
            for (group, key, _), value in zip(pending, values, strict=True):
                group.computed[key] = value

    def _writes(self, group: Group, plan: _Plan, held: Held) -> list[_Write]:
        """Return the compare-and-sets of a group, marks first."""
        compared = [_Write(tombstone, held[tombstone]) for key, tombstone in group.tombstones.items() if key in plan.events]
        return [*plan.marks, *compared, *(_Write(key, held[key], group.computed[key], self._ttl_s) for key in plan.events)]

    def _undo(self, done: list[list[_Write]]) -> None:
        """Restore the previous values, each script's keys all or none: they stay where one has been written since.

        In reverse order, in one pipeline, so that a key that was written twice gets the value from before the first
        write.
        """
        calls = []
        for writes in reversed(done):
            back = [
                _Write(each.key, each.value, each.held or b"", DELETED if each.held is None else each.ttl_s)
                for each in writes
                if each.ttl_s != LEFT
            ]
            if back:
                calls.append(_call(back, os.urandom(TAG_BYTES), 0))
        done.clear()
        try:
            if calls:
                self._shards.run(calls)
        except StateUnavailable as error:
            _LOG.warning("events that were refused may be in the state: %s", error)

    def _mark(self, number: int, change: Change) -> bytes:
        return self._users.prefix + TAGS[number] + b"\x00\x00" + change.mark

    def _tombstone(self, shopper: str) -> bytes:
        return tombstone_key(self._shop, shopper)

    @property
    def _versions(self) -> bytes:
        return self._shop + b"versions"

    def _features(self, plan: StatePlan, values: list[bytes | None], time_us: int, *, session: int) -> Features:
        state = decoded(plan, values, self._codes)
        features = blank(plan, len(values))
        read_rows(state, np.arange(len(values)), time_us, session, rules(plan), features)
        return features


def open_client(url: str, *, cluster: bool, password: str, timeout_s: float, longest_pause_s: float) -> "redis.Redis | redis.RedisCluster":
    """Return a client whose calls are repeated; a cluster is asked for its nodes at once, a single Redis by the first call.

    Args:
        url: of a Redis, or of a node of a cluster.
        cluster: whether it is one.
        password: "" for none, or for that of the URL.
        timeout_s: of connecting, and of each answer.
        longest_pause_s: before a call is repeated.
    """
    options: dict[str, Any] = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "retry": Retry(ExponentialWithJitterBackoff(base=0.01, cap=longest_pause_s), CALL_RETRIES),
        **({"password": password} if password else {}),
    }
    return redis.RedisCluster.from_url(url, **options) if cluster else redis.Redis.from_url(url, **options)


def shop_prefix(shop: str) -> bytes:
    """Return the prefix of what all schema versions of a shop share."""
    return b"sr:" + hashlib.blake2b(shop.encode(), digest_size=5).hexdigest().encode() + b":"


def ids_key(key: bytes) -> bytes:
    """Return the key of the ids that a shopper's state has seen in a stream, from the key of that state."""
    return key + b"\x00ids"


def tombstone_key(prefix: bytes, shopper: str) -> bytes:
    """Return the key of a shopper's tombstone, in the slot of the shopper's state."""
    return prefix + TAGS[partition_of(shopper.encode())] + b"\x00" + digest_of(shopper)


def side_of(shop: str, name: str, plan: StatePlan) -> Side:
    """Return a side of a shop's state, with the prefix of its keys."""
    return Side(plan, f"sr:{schema_version(shop, name, plan)}:".encode())


def _grouped(keys: Iterable[tuple[int, bytes]]) -> Mapping[int, list[bytes]]:
    groups: dict[int, list[bytes]] = {}
    for number, key in keys:
        groups.setdefault(number, []).append(key)
    return groups


def _changed(group: Group, writes: Sequence[_Write], conflicts: Sequence[Any]) -> Held:
    """Return the present values of keys that others have changed, and drop the group's values computed from old ones."""
    changed = {writes[index].key: value or None for index, value in zip(conflicts[::2], conflicts[1::2], strict=True)}
    if not changed.keys() <= group.sides.keys():
        group.computed.clear()
    for key in changed:
        group.computed.pop(key, None)
    return changed


def _server_deadline_us(clock_us: int, read_s: float, until_s: float | None) -> int:
    """Convert the deadline `until_s` to the server's clock, never later; 0 where there is none."""
    return 0 if until_s is None else max(1, clock_us + int((until_s - read_s) * 1e6))


def _call(writes: Sequence[_Write], tag: bytes, deadline_us: int) -> Call:
    args: list[Any] = [tag, deadline_us]
    for write in writes:
        args += [tag_of(write.held), write.value, write.ttl_s]
    return Call(COMPARE_AND_SET, [write.key for write in writes], args)
