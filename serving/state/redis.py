"""State in Redis, which any number of services share: one round trip for a request, compare-and-set for a change.

A key is `sr:<schema version>:<id>`; the schema version is a digest of the shop's name, the side, the plan and the layout of values, so a
service with another dataset file neither misreads nor overwrites what stands there.

All keys of a request are asked for at once, so they lie in one Redis (with as many replicas as one likes), not in a Redis Cluster.
"""

import os
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import redis

from components.state.plan import StatePlan
from components.state.reading import read_rows
from components.state.reducer import Features, blank, rules
from components.state.store import Event, take_in
from serving.state.codes import ItemCodes
from serving.state.folder import keys_in, parts
from serving.state.seam import Change, Known, Plans
from serving.state.values import TAG_BYTES, decoded, encoded, schema_version, tag_of

MARK_TTL_S = 3600  # how long a change is remembered, to tell its repetition
LOADED_AT_A_TIME = 2_000
PAUSE_S = 0.002  # at most, before a key is tried again that another writer has changed meanwhile

# Writes the keys that hold what the writer has read (or what it has written: a repeated call does no harm), and tells which don't.
# KEYS: the change's mark, then the keys. ARGV: the writer's tag, the mark's TTL, the change's time and its span; then for each key the tag
# read, the value, its TTL. A mark holds the tag of its writer and the time.
_COMPARE_AND_SET = """
local held = redis.call('GET', KEYS[1])
if held and string.sub(held, 1, 8) ~= ARGV[1] then
  local before = tonumber(string.sub(held, 9)) or tonumber(ARGV[3])
  if math.abs(tonumber(ARGV[3]) - before) <= tonumber(ARGV[4]) then
    if tonumber(ARGV[3]) > before then
      redis.call('SET', KEYS[1], string.sub(held, 1, 8) .. ARGV[3], 'EX', ARGV[2])
    end
    return false
  end
end
redis.call('SET', KEYS[1], ARGV[1] .. ARGV[3], 'EX', ARGV[2])
local stale = {}
for i = 2, #KEYS do
  local a = 3 * i - 1
  local tag = redis.call('GETRANGE', KEYS[i], 0, 7)
  if tag == ARGV[a] then
    redis.call('SET', KEYS[i], ARGV[a + 1], 'EX', ARGV[a + 2])
  elseif tag ~= string.sub(ARGV[a + 1], 1, 8) then
    stale[#stale + 1] = i - 2
  end
end
return stale
"""


@dataclass(frozen=True)
class _Side:
    plan: StatePlan
    prefix: bytes

    def key(self, name: str) -> bytes:
        return self.prefix + name.encode()


@final
class RedisStates:
    """Both sides in one Redis.

    Args:
        client: of redis-py, with `decode_responses` off; its timeouts and retries are the caller's choice: a call may be repeated.
        shop: the dataset's name.
        plans: what is kept.
        codes: of the items in histories.
        ttl_s: how long a key is kept after its last event.
    """

    def __init__(self, client: "redis.Redis", *, shop: str, plans: Plans, codes: ItemCodes, ttl_s: int) -> None:
        self._client, self._codes, self._ttl_s = client, codes, ttl_s
        self._users = _side(shop, "users", plans.users)
        self._items = _side(shop, "items", plans.items) if plans.items else None
        self._write = client.register_script(_COMPARE_AND_SET)

    def known(self, shopper: str, items: list[str], time_us: int, *, session: int = 0) -> Known:
        """See StateStores."""
        keys = [self._users.key(shopper)]
        if self._items is not None:
            keys += [self._items.key(item) for item in items]
        user, *others = self._values(keys)
        of_user = self._features(self._users.plan, [user], time_us, session=session)
        return Known(of_user, None if self._items is None else self._features(self._items.plan, others, time_us, session=0))

    def record(self, change: Change) -> bool:
        """See StateStores."""
        waiting: dict[bytes, tuple[_Side, list[Event]]] = {}
        sides = [(self._users, change.users), *([(self._items, change.items)] if self._items else [])]
        for side, events in sides:
            for event in events:
                waiting.setdefault(side.key(event.key), (side, []))[1].append(event)
        mark = self._users.prefix + b"\x00\x00" + change.mark
        tag = os.urandom(TAG_BYTES)
        attempt = 0
        while waiting:
            stale = self._attempt(change, mark, tag, waiting)
            if stale is None:
                return False
            keys = list(waiting)
            waiting = {keys[place]: waiting[keys[place]] for place in stale}
            attempt += bool(stale)
            if stale:  # someone else got through, so all together go on
                time.sleep(random.random() * PAUSE_S * min(attempt, 10))
        return True

    def forget(self, shopper: str) -> None:
        """See StateStores."""
        self._client.delete(self._users.key(shopper))

    def load(self, folder: Path, *, progress: Callable[[int, int], None] | None = None) -> int:
        """Bring a saved state in, such as the pipeline's; keys that are there stay, since live events have written them later.

        Args:
            folder: as `serving.state.folder` describes it.
            progress: is told how many keys are done, of how many.

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
                    written += self._add(zip((side.key(part.keys[row]) for row in some), values, strict=True))
                    done += len(some)
                    if progress is not None:
                        progress(done, total)
        return written

    def _add(self, pairs: Iterable[tuple[bytes, bytes]]) -> int:
        with self._client.pipeline(transaction=False) as pipeline:
            for key, value in pairs:
                pipeline.set(key, value, ex=self._ttl_s, nx=True)
            return sum(bool(answer) for answer in pipeline.execute())

    def _attempt(self, change: Change, mark: bytes, tag: bytes, waiting: dict[bytes, tuple[_Side, list[Event]]]) -> list[int] | None:
        """Take the events in as things stand; the places of keys that changed meanwhile, or None where all is a repetition."""
        keys = list(waiting)
        found = dict(zip(keys, self._values(keys), strict=True))
        made: dict[bytes, bytes] = {}
        for side in {id(side): side for side, _ in waiting.values()}.values():
            mine = [key for key in keys if waiting[key][0] is side]
            state = decoded(side.plan, [found[key] for key in mine], self._codes)
            happened = [(row, event) for row, key in enumerate(mine) for event in waiting[key][1]]
            take_in(side.plan, state, [row for row, _ in happened], [event for _, event in happened], rules(side.plan))
            made |= dict(zip(mine, encoded(side.plan, state, range(len(mine)), [tag] * len(mine), self._codes), strict=True))
        arguments: list[Any] = [tag, max(MARK_TTL_S, -(-change.span_us // 1_000_000)), change.time_us, change.span_us]
        for key in keys:
            arguments += [tag_of(found[key]), made[key], self._ttl_s]
        stale: list[int] | None = self._write(keys=[mark, *keys], args=arguments)
        return stale

    def _values(self, keys: list[bytes]) -> list[bytes | None]:
        values: list[bytes | None] = self._client.mget(keys)  # type: ignore[assignment]
        return values

    def _features(self, plan: StatePlan, values: list[bytes | None], time_us: int, *, session: int) -> Features:
        state = decoded(plan, values, self._codes)
        features = blank(plan, len(values))
        read_rows(state, np.arange(len(values)), time_us, session, rules(plan), features)
        return features


def _side(shop: str, name: str, plan: StatePlan) -> _Side:
    return _Side(plan, f"sr:{schema_version(shop, name, plan)}:".encode())
