"""Read Redis Streams by XREAD from positions of the caller's; consumer groups of Redis take no part.

An entry's offset is its id as one number, milliseconds times 2^20 plus the sequence number within one.
"""

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, final

import numpy as np
import redis

from components.contract.errors import InputError, SourceUnavailable
from serving.stream.interface import Assignment, Messages
from serving.stream.sources.redis_settings import PASSWORD_VARIABLE, RedisAddress

_LOG = logging.getLogger(__name__)
SEQUENCE_BITS = 20
_PAUSE_S = 0.01  # before streams that had nothing are asked again
_TIMEOUT_S = 10.0
_REFUSALS = ("NOAUTH", "WRONGPASS", "NOPERM", "invalid username-password", "AUTH", "invalid password")
T = TypeVar("T")


@dataclass
class _Position:
    """Where a stream is read on, and how many entries were ever added before (None: not known)."""

    offset: int
    added: int | None = None


@final
class RedisStreamsSource:
    """Streams of one Redis, all read by this process.

    Args:
        address: of the Redis, its streams and the field of messages.
        assignment: is asked for positions.

    Raises:
        InputError: the client can't use the address.
    """

    def __init__(self, address: RedisAddress, assignment: Assignment) -> None:
        self._address, self._assignment = address, assignment
        try:
            self._client = redis.Redis.from_url(
                address.url, password=address.password, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, protocol=2
            )
        except (ValueError, TypeError, redis.RedisError) as error:
            raise InputError(f"{address}: {error}; expected redis://HOST:PORT/0?stream=NAME") from None
        self._positions: dict[str, _Position] = {}
        self._missed: set[str] = set()  # streams that weren't there
        self._doubted: set[str] = set()  # streams that may have lost entries before this process began

    def poll(self, *, most: int, timeout_s: float) -> list[Messages]:
        """Return the next entries of each stream."""
        deadline = time.monotonic() + timeout_s
        if not self._positions:
            self._answered(self._client.ping)
            self._start()
        while True:
            each = max(most // len(self._positions), 1)
            read = (self._read(name, each) for name in list(self._positions)[:most])
            messages = [part for part in read if part is not None]
            if messages or time.monotonic() >= deadline:
                return messages
            time.sleep(min(_PAUSE_S, max(deadline - time.monotonic(), 0)))

    def seek(self, partition: str, offset: int) -> None:
        """Read a stream from this position on."""
        self._positions[partition] = _Position(offset)

    def lag(self) -> Mapping[str, int]:
        """Return how many entries wait in each stream; all that are there, until it is known how many were read."""
        waiting = {}
        for name, position in self._positions.items():
            about = self._answered(partial(self._about, name))
            if about is None:
                waiting[name] = 0
            else:
                waiting[name] = about["length"] if position.added is None else about["entries-added"] - position.added
        return waiting

    def committed(self, positions: Mapping[str, int]) -> None:
        """Do nothing: no tool shows the lag of this source."""

    def finished(self) -> bool:
        """Return False: a stream has no end."""
        return False

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _start(self) -> None:
        positions = self._assignment.assigned(self._address.streams)
        for name in self._address.streams:
            offset = positions.get(name)
            about = self._answered(partial(self._about, name))
            before = 0 if about is None else about["entries-added"] - about["length"]
            self._positions[name] = _Position(0, before) if offset is None else _Position(offset)

    def _read(self, name: str, most: int) -> Messages | None:
        position = self._positions[name]
        about, entries = self._answered(lambda: self._entries(name, position.offset, most))
        if about is None:
            if name not in self._missed:
                _LOG.warning("%s: there is no stream %r yet; waiting until something is added to it", self._address, name)
                self._missed.add(name)
            return None
        lost = self._lost(name, position, about)
        if position.added is not None:
            position.added += lost
        if position.added is not None:
            position.added += len(entries)
        if len(entries) < most:
            position.added = about["entries-added"]
        if not entries:
            return None
        offsets = np.array([self._offset(name, entry) for entry, _ in entries], np.int64)
        position.offset = int(offsets[-1]) + 1
        values = [self._payload(fields or {}) for _, fields in entries]
        return Messages(name, offsets, position.offset, (offsets >> SEQUENCE_BITS) * 1000, values, lost)

    def _lost(self, name: str, position: _Position, about: Mapping[str, Any]) -> int:
        """Return how many entries were trimmed before they were read, as far as this process knows how many there were."""
        first, trimmed = about.get("recorded-first-entry-id", b"0-0"), about["entries-added"] - about["length"]
        if about["length"] and self._offset(name, first) < position.offset:
            return 0
        if position.added is not None:
            lost: int = max(trimmed - position.added, 0)
            if lost:
                _LOG.error(
                    "%s: %s entries of stream %r are lost: they were trimmed before they were read; trim it later (MAXLEN), or read it"
                    " faster",
                    self._address,
                    f"{lost:,}",
                    name,
                )
            return lost
        if trimmed and name not in self._doubted:
            self._doubted.add(name)
            _LOG.warning(
                "%s: expected stream %r to reach back to where reading stopped, and it begins after it, at %s: entries that were trimmed"
                " meanwhile are lost, and Redis doesn't say how many; keep more of them (MAXLEN, MINID)",
                self._address,
                name,
                first.decode(),
            )
        return 0

    def _entries(self, name: str, offset: int, most: int) -> tuple[dict[str, Any] | None, list[tuple[bytes, dict[bytes, bytes]]]]:
        """Return what Redis says of a stream, and its next entries, both at one moment."""
        with self._client.pipeline(transaction=True) as pipe:
            pipe.xinfo_stream(name)
            pipe.xread({name: _before(offset)}, count=most)
            about, read = pipe.execute(raise_on_error=False)
        if isinstance(about, redis.ResponseError) and "no such key" in str(about):
            return None, []
        for answer in (about, read):
            if isinstance(answer, Exception):
                raise answer
        return about, read[0][1] if read else []

    def _about(self, name: str) -> dict[str, Any] | None:
        try:
            return self._client.xinfo_stream(name)
        except redis.ResponseError as error:
            if "no such key" in str(error):
                return None
            raise

    def _answered(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except redis.AuthenticationError as error:
            raise self._refused(error) from None
        except (redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError) as error:
            raise SourceUnavailable(
                f"{self._address}: expected an answer of Redis, got none: {error}; check the address and the server"
            ) from None
        except redis.ResponseError as error:
            if any(word in str(error) for word in _REFUSALS):
                raise self._refused(error) from None
            raise InputError(
                f"{self._address}: expected streams to read, and Redis says: {error}; check `stream`, and Redis' version"
            ) from None

    def _refused(self, error: Exception) -> InputError:
        return InputError(
            f"{self._address}: expected to be let in, and Redis refuses: {error}; check the user of the address, {PASSWORD_VARIABLE}"
            " and the user's rights (XREAD, XINFO) to the stream"
        )

    def _offset(self, name: str, entry: bytes) -> int:
        milliseconds, _, sequence = entry.partition(b"-")
        if int(sequence) >> SEQUENCE_BITS:
            raise InputError(
                f"{self._address}: expected ids of {name!r} with sequence numbers below {1 << SEQUENCE_BITS:,}, got {entry.decode()};"
                " let Redis make the ids (XADD ... *)"
            )
        return int(milliseconds) << SEQUENCE_BITS | int(sequence)

    def _payload(self, fields: Mapping[bytes, bytes]) -> bytes:
        if self._address.message_field is not None:
            return fields.get(self._address.message_field.encode(), b"")
        if len(fields) == 1:
            return next(iter(fields.values()))
        return json.dumps({key.decode(errors="replace"): value.decode(errors="replace") for key, value in fields.items()}).encode()


def _before(offset: int) -> str:
    """Return the id after which the entry of an offset comes."""
    last = max(offset - 1, 0)
    return f"{last >> SEQUENCE_BITS}-{last & ((1 << SEQUENCE_BITS) - 1)}"
