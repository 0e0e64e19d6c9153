"""State in Redis or a Redis Cluster, which any number of services share.

A request is one round trip, a call's changes are two, whatever their number: all that they touch is read, and set if nobody has changed
it meanwhile. What one script sets together it sets whole or not at all, and the changes' marks with it; so whatever is repeated, by a
client, by redis-py or by another service, counts once.

A key is `sr:<schema version>:{partition}<id>`; the schema version is a digest of the shop's name, the side, the plan and the layout of
values, so a service with another dataset file neither misreads nor overwrites what stands there. A shopper's tombstone is the shop's,
whatever the version.
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

from components.contract.errors import StateUnavailable
from components.state.plan import StatePlan
from components.state.read_batch import read_rows
from components.state.reducer import Features, blank, rules
from components.state.store import Event, apply_events
from serving.state.change_groups import Group, Side, halves, joined, keys_of, portions
from serving.state.interface import Change, Known, Plans
from serving.state.item_codes import ItemCodes
from serving.state.marks import MARK_TTL_S, Mark, content_of, remembered_us, repeats, repetitions_of_others, time_of, ttl_s
from serving.state.partitions import TAGS, partition_of, placed
from serving.state.shards import ADD_UNLESS, COMPARE_AND_SET, REPLACE_BY, Call, Shards
from serving.state.snapshot import keys_in, parts
from serving.state.tombstones import RETENTION_S, digest_of
from serving.state.values import TAG_BYTES, decoded, encoded, schema_version, tag_of

__all__ = ["MARK_TTL_S", "RedisStates"]
_LOG = logging.getLogger(__name__)
LOADED_AT_A_TIME = 2_000
ATTEMPTS = 8  # then changes go in two parts, and so on: the fewer there are the sooner nobody comes between
ASKED_S = 7 * 24 * 3600  # how long logs are asked to erase a shopper: a service that is away for longer must be told by hand
PAUSE_S = 0.002  # at most, before keys are tried again that another writer has changed meanwhile
DELETED, LEFT = 0, -1  # in place of a TTL
Held = dict[bytes, bytes | None]


@dataclass(frozen=True)
class _Setting:
    """A key to be set, or looked at: what it must hold, and what it then gets."""

    key: bytes
    held: bytes | None
    value: bytes = b""
    ttl_s: int = LEFT


@dataclass(frozen=True)
class _Plan:
    """What is to be done to a group's keys: marks to be set, the events that count by key, and the changes that do."""

    marks: list[_Setting]
    events: dict[bytes, list[Event]]
    counted: set[int]


@dataclass(frozen=True)
class Taken:
    """Changes that were taken in.

    Attributes:
        counted: for each, whether it counted; else it was a repetition.
        undo: makes that nothing of them is there, as far as nobody has built on them since.
    """

    counted: tuple[bool, ...]
    undo: Callable[[], None]


@final
class RedisStates:
    """Both sides in one Redis or Redis Cluster.

    Args:
        client: of redis-py, single or cluster, with `decode_responses` off; its timeouts and retries are the caller's choice: a call may
            be repeated.
        shop: the dataset's name.
        plans: what is kept.
        codes: of the items in histories.
        ttl_s: how long a key is kept after its last event.
    """

    def __init__(self, client: "redis.Redis | redis.RedisCluster", *, shop: str, plans: Plans, codes: ItemCodes, ttl_s: int) -> None:
        self._shards, self._codes, self._ttl_s = Shards(client), codes, ttl_s
        self._users = _side(shop, "users", plans.users)
        self._items = _side(shop, "items", plans.items) if plans.items else None
        self._shop = b"sr:" + hashlib.blake2b(shop.encode(), digest_size=5).hexdigest().encode() + b":"

    def announce(self) -> None:
        """Note for others that there are values of this version: who is forgotten goes from all versions that a service has announced.

        Raises:
            StateUnavailable: it couldn't be noted.
        """
        self._shards.command("ZADD", self._versions, int(time.time()), self._users.prefix)
        self._shards.command("ZREMRANGEBYSCORE", self._versions, "-inf", int(time.time()) - 4 * self._ttl_s)

    def known(self, shopper: str, items: list[str], time_us: int, *, session: int = 0) -> Known:
        """See StateStores."""
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

    def record_all(self, changes: Sequence[Change], *, until_s: float | None = None) -> Taken:
        """Take changes in, in their order: all of them, or as good as none.

        Args:
            changes: those that a store knows already are repetitions, and count no more.
            until_s: nothing is set any more after this moment of the monotonic clock, not even by a call that reaches Redis later.

        Raises:
            StateUnavailable: they aren't taken in. Where the connection broke some may be; to send all of them again does no harm.
        """
        counted: set[int] = set()
        done: list[list[_Setting]] = []
        try:
            for some in portions(changes):
                counted |= self._record_some(some, until_s, done)
        except BaseException:
            self._undo(done)
            raise
        return Taken(tuple(index in counted for index in range(len(changes))), lambda: self._undo(done))

    def forget(self, shopper: str, *, time_us: int = 0) -> None:
        """See StateStores."""
        prefixes = {self._users.prefix, *self._shards.command("ZRANGE", self._versions, 0, -1)}
        keys = [self._tombstone(shopper), *(prefix + placed(shopper) for prefix in sorted(prefixes))]
        # The tombstone's own tag lets no change through that was read before.
        self._shards.run([Call(REPLACE_BY, keys, [Mark(time_us, 0).encoded(os.urandom(TAG_BYTES)), RETENTION_S])])

    def ask_logs(self, keys: Sequence[str], *, time_us: int) -> None:
        """Ask all services that share the store to erase a shopper from their logs; asked for a week.

        Raises:
            StateUnavailable: they may not have been asked.
        """
        for key in keys:
            self._shards.command("ZADD", self._shop + b"erase", "GT", time_us, key)
        self._shards.command("ZREMRANGEBYSCORE", self._shop + b"erase", "-inf", time_us - ASKED_S * 1_000_000)

    def asked_of_logs(self) -> dict[str, int]:
        """Whom logs are asked to erase, to the moment up to which, in microseconds since 1970.

        Raises:
            StateUnavailable: it isn't known.
        """
        entries = self._shards.command("ZRANGE", self._shop + b"erase", 0, -1, "WITHSCORES")
        pairs = zip(entries[::2], entries[1::2], strict=True) if entries and not isinstance(entries[0], (list, tuple)) else entries
        return {key.decode(): int(float(time_us)) for key, time_us in pairs}

    def load(self, folder: Path, *, progress: Callable[[int, int], None] | None = None, forgotten: Container[str] = frozenset()) -> int:
        """Bring a saved state in, such as the pipeline's.

        Keys that are there stay, since live events have written them later; shoppers with a tombstone are left out.

        Args:
            folder: as `serving.state.snapshot` describes it.
            progress: is told how many keys are done, of how many.
            forgotten: shoppers to be left out besides.

        Returns:
            How many keys were written.
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

    def _record_some(self, changes: Mapping[int, Change], until_s: float | None, done: list[list[_Setting]]) -> set[int]:
        """Take in as many changes as one round trip may carry; gives the places of those that count.

        What share no key go by scripts of their own, so that a key which many write to holds nothing else up. Adds to `done` what may
        have been set.
        """
        tag = os.urandom(TAG_BYTES)
        shards, homes = self._groups_of(changes)
        groups = [(number, group) for number, some in shards.items() for group in some]
        held, clocks = self._shards.read_at({number: keys_of(some) for number, some in shards.items()})
        read_s = time.monotonic()
        late_us = {number: _late_us(clock_us, read_s, until_s) for number, clock_us in clocks.items()}
        counted: set[int] = set()
        for attempt in itertools.count(1):
            others = repetitions_of_others(changes, homes, held)
            plans = [self._plan(group, changes, others, held, tag) for _, group in groups]
            self._make([group for _, group in groups], plans, held, tag)
            made = [self._settings(group, plan, held) for (_, group), plan in zip(groups, plans, strict=True)]
            try:
                answers = self._shards.run(
                    [_call(settings, tag, late_us[number]) for (number, _), settings in zip(groups, made, strict=True) if settings]
                )
            except StateUnavailable:
                done += made
                raise
            late, left, entries = False, list[tuple[int, Group]](), iter(answers)
            for (number, group), plan, settings in zip(groups, plans, made, strict=True):
                other = next(entries) if settings else []
                if not other:
                    counted |= plan.counted
                    done.append(settings)
                    continue
                left.append((number, group))
                if other == [-1]:
                    late = True
                    continue
                changed = {settings[index].key: value or None for index, value in zip(other[::2], other[1::2], strict=True)}
                held |= changed
                if not changed.keys() <= group.sides.keys():
                    group.made.clear()
                for key in changed:
                    group.made.pop(key, None)
            if not left:
                return counted
            if late or (until_s is not None and time.monotonic() >= until_s):
                raise StateUnavailable("the state store couldn't take the events in time; send them again later")
            if attempt == ATTEMPTS and len(changes) > 1:
                return counted.union(*(self._record_some(some, until_s, done) for some in halves(changes, left)))
            groups = left
            time.sleep(random.random() * PAUSE_S * min(attempt, 10))  # someone else got through, so all together go on
        raise AssertionError

    def _groups_of(self, changes: Mapping[int, Change]) -> tuple[dict[int, list[Group]], dict[int, bytes]]:
        """By shard, what changes do to keys there, in as many groups as share none; and each change's mark that any repetition meets."""
        shards: dict[int, list[Group]] = {}
        homes: dict[int, bytes] = {}
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
            homes[index] = self._mark(home, change)
        return {number: joined(groups) for number, groups in shards.items()}, homes

    def _plan(self, group: Group, changes: Mapping[int, Change], others: Container[int], held: Held, tag: bytes) -> _Plan:
        """Which changes of a group count; no marks where nothing is to be set."""
        times = {mark: Mark.decoded(held[mark]) for _, mark in group.marks}
        marks: dict[bytes, _Setting] = {}
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
                marks[mark] = _Setting(mark, held[mark], now.encoded(tag), longest_s)
        until_us = {key: time_of(held[tombstone]) for key, tombstone in group.tombstones.items()}
        events: dict[bytes, list[Event]] = {}
        for key, happened in group.events.items():
            forgotten_us = until_us.get(key)
            counting = [event for index, event in happened if index in counted and (forgotten_us is None or event.time_us > forgotten_us)]
            if counting:
                events[key] = counting
        return _Plan(list(marks.values()), events, counted)

    def _make(self, groups: Sequence[Group], plans: Sequence[_Plan], held: Held, tag: bytes) -> None:
        """Compute the values of all keys that events count for, but for those that are there from an attempt before."""
        for side in (self._users, *([self._items] if self._items else [])):
            mine = [
                (group, key, events)
                for group, plan in zip(groups, plans, strict=True)
                for key, events in plan.events.items()
                if group.sides[key] is side and key not in group.made
            ]
            if not mine:
                continue
            state = decoded(side.plan, [held[key] for _, key, _ in mine], self._codes)
            rows = [row for row, (_, _, events) in enumerate(mine) for _ in events]
            apply_events(side.plan, state, rows, [event for _, _, events in mine for event in events], rules(side.plan))
            values = encoded(side.plan, state, range(len(mine)), [tag] * len(mine), self._codes)
            for (group, key, _), value in zip(mine, values, strict=True):
                group.made[key] = value

    def _settings(self, group: Group, plan: _Plan, held: Held) -> list[_Setting]:
        """What a group's keys are to hold, marks first."""
        looked_at = [_Setting(tombstone, held[tombstone]) for key, tombstone in group.tombstones.items() if key in plan.events]
        return [*plan.marks, *looked_at, *(_Setting(key, held[key], group.made[key], self._ttl_s) for key in plan.events)]

    def _undo(self, done: list[list[_Setting]]) -> None:
        """Put back what was there, each script's keys all or none: where somebody has built on one of them, they stay.

        The last comes first, in one pipeline: of a key that was set twice it leaves what the first had set.
        """
        calls = []
        for settings in reversed(done):
            back = [
                _Setting(each.key, each.value, each.held or b"", DELETED if each.held is None else each.ttl_s)
                for each in settings
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
        return self._shop + TAGS[partition_of(shopper.encode())] + b"\x00" + digest_of(shopper)

    @property
    def _versions(self) -> bytes:
        return self._shop + b"versions"

    def _features(self, plan: StatePlan, values: list[bytes | None], time_us: int, *, session: int) -> Features:
        state = decoded(plan, values, self._codes)
        features = blank(plan, len(values))
        read_rows(state, np.arange(len(values)), time_us, session, rules(plan), features)
        return features


def _side(shop: str, name: str, plan: StatePlan) -> Side:
    return Side(plan, f"sr:{schema_version(shop, name, plan)}:".encode())


def _grouped(keys: Iterable[tuple[int, bytes]]) -> Mapping[int, list[bytes]]:
    groups: dict[int, list[bytes]] = {}
    for number, key in keys:
        groups.setdefault(number, []).append(key)
    return groups


def _late_us(clock_us: int, read_s: float, until_s: float | None) -> int:
    """The moment of the server's clock that is `until_s` here, or earlier; 0 where there is none."""
    return 0 if until_s is None else max(1, clock_us + int((until_s - read_s) * 1e6))


def _call(settings: Sequence[_Setting], tag: bytes, late_us: int) -> Call:
    args: list[Any] = [tag, late_us]
    for setting in settings:
        args += [tag_of(setting.held), setting.value, setting.ttl_s]
    return Call(COMPARE_AND_SET, [setting.key for setting in settings], args)
