"""Access Redis or a Redis Cluster in few round trips: read many keys, run scripts that each write one group of keys.

A group is what one script may write: everything in a single Redis, a partition in a cluster. Commands for all groups are sent in one
pipeline, which a cluster's client sends to all nodes before it waits for the first.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

import redis

from components.contract.errors import StateUnavailable
from serving.state.partitions import partition_of

# Sets keys if all of them hold what the caller has read, else nothing; a repeated call does no harm.
# KEYS: the first one is set by every call. ARGV: the caller's tag, the call's deadline (microseconds by the server's clock; 0 for none);
# then for each key the first 8 bytes read, the value, its TTL (0 deletes the key, -1 leaves it unchanged).
# Returns nothing when done, {-1} after the deadline, else the indices and values of the keys that hold something else.
COMPARE_AND_SET = """
if redis.call('GETRANGE', KEYS[1], 0, 7) == ARGV[1] then return {} end
local until_us = tonumber(ARGV[2])
if until_us > 0 then
  local now = redis.call('TIME')
  if tonumber(now[1]) * 1000000 + tonumber(now[2]) > until_us then return {-1} end
end
local other = {}
for i, key in ipairs(KEYS) do
  if redis.call('GETRANGE', key, 0, 7) ~= ARGV[3 * i] then
    other[#other + 1] = i - 1
    other[#other + 1] = redis.call('GET', key) or ''
  end
end
if #other > 0 then return other end
for i, key in ipairs(KEYS) do
  local ttl = ARGV[3 * i + 2]
  if ttl == '0' then
    redis.call('DEL', key)
  elseif ttl ~= '-1' then
    redis.call('SET', key, ARGV[3 * i + 1], 'EX', ttl)
  end
end
return other
"""

# Sets each key that doesn't exist, unless its paired key exists. KEYS: pairs. ARGV: the TTL, then the values. Returns how many were set.
ADD_UNLESS = """
local added = 0
for i = 1, #KEYS, 2 do
  if redis.call('EXISTS', KEYS[i + 1]) == 0 and redis.call('SET', KEYS[i], ARGV[(i + 3) / 2], 'EX', ARGV[1], 'NX') then
    added = added + 1
  end
end
return added
"""

# Sets the first key and deletes the others. ARGV: the value, its TTL.
REPLACE_BY = """
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
for i = 2, #KEYS do redis.call('DEL', KEYS[i]) end
return 1
"""

_CLOCK = "return redis.call('TIME')"


@dataclass(frozen=True)
class Call:
    """A script with the keys of one group and its arguments."""

    script: str
    keys: Sequence[bytes]
    args: Sequence[Any]


@final
class Shards:
    """Commands over a client of redis-py, single or cluster, with `decode_responses` off."""

    def __init__(self, client: "redis.Redis | redis.RedisCluster") -> None:
        self._client = client
        self._cluster = client if isinstance(client, redis.RedisCluster) else None

    def group(self, name: str) -> int:
        """Return the group of a shopper's or a product's keys."""
        return 0 if self._cluster is None else partition_of(name.encode())

    def read(self, keys: Mapping[int, Sequence[bytes]]) -> dict[bytes, bytes | None]:
        """Read the values of keys, which are passed by group.

        Raises:
            StateUnavailable: they couldn't all be read.
        """
        answers = self._piped([(("MGET", *names), names[0]) for names in keys.values()])
        return _by_key(keys, answers)

    def read_at(self, keys: Mapping[int, Sequence[bytes]]) -> tuple[dict[bytes, bytes | None], dict[int, int]]:
        """Read like `read`, and for each group its server's clock in microseconds, before the end of the read."""
        commands = [(("MGET", *names), names[0]) for names in keys.values()]
        clocks = [(("EVAL", _CLOCK, 1, names[0]), names[0]) for names in keys.values()]
        answers = self._piped([*commands, *clocks])
        values, times = answers[: len(commands)], answers[len(commands) :]
        return _by_key(keys, values), {group: int(time[0]) * 1_000_000 + int(time[1]) for group, time in zip(keys, times, strict=True)}

    def run(self, calls: Sequence[Call]) -> list[Any]:
        """Run scripts, each atomically; return their results.

        Raises:
            StateUnavailable: one of them didn't answer.
        """
        digests = {call.script: hashlib.sha1(call.script.encode(), usedforsecurity=False).hexdigest() for call in calls}
        commands = [(("EVALSHA", digests[call.script], len(call.keys), *call.keys, *call.args), call.keys[0]) for call in calls]
        answers = self._piped(commands, raises=False)
        unknown = [index for index, answer in enumerate(answers) if isinstance(answer, redis.exceptions.NoScriptError)]
        if unknown:
            with _store_errors():
                for script in digests:
                    self._client.script_load(script)
            for index, answer in zip(unknown, self._piped([commands[index] for index in unknown], raises=False), strict=True):
                answers[index] = answer
        with _store_errors():
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
        return answers

    def command(self, *words: Any) -> Any:
        """Run a command on one key."""
        with _store_errors():
            return self._client.execute_command(*words)  # type: ignore[no-untyped-call]

    def size(self) -> tuple[int, int]:
        """Return the number of keys, and the bytes of memory in use, of all masters."""
        with _store_errors():
            if self._cluster is None:
                return int(self._client.dbsize()), int(self._client.info("memory")["used_memory"])
            masters = redis.RedisCluster.PRIMARIES
            memory = self._cluster.info("memory", target_nodes=masters)
            return int(self._cluster.dbsize(target_nodes=masters)), sum(int(each["used_memory"]) for each in memory.values())

    def _piped(self, commands: Sequence[tuple[Sequence[Any], bytes]], *, raises: bool = True) -> list[Any]:
        """Run commands, each paired with one of its keys, in one pipeline."""
        with _store_errors(), self._client.pipeline(transaction=False) as pipeline:
            for words, key in commands:
                # Naming the node spares a query for the script's keys; redirections are followed nevertheless.
                node = {} if self._cluster is None else {"target_nodes": self._cluster.get_node_from_key(key)}  # type: ignore[no-untyped-call]
                pipeline.execute_command(*words, **node)
            answers: list[Any] = pipeline.execute(raise_on_error=raises)
            return answers


def _by_key(keys: Mapping[int, Sequence[bytes]], values: Sequence[Sequence[bytes | None]]) -> dict[bytes, bytes | None]:
    """Return each key with its value, from the values of each group."""
    return {key: value for names, some in zip(keys.values(), values, strict=True) for key, value in zip(names, some, strict=True)}


@contextmanager
def _store_errors() -> Iterator[None]:
    """Convert every error of the store or the connection to StateUnavailable; programming errors pass unchanged."""
    try:
        yield
    except (redis.RedisError, redis.exceptions.RedisClusterException, OSError) as error:
        raise StateUnavailable(f"the state store gave no answer ({type(error).__name__}); try again later") from error
