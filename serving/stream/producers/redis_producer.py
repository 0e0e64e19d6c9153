"""Write to a stream of Redis: what waits goes over in one round trip, and is acknowledged as Redis answers."""

import logging
import threading
import zlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from components.contract.errors import InputError, LogUnavailable, ShelfRankError
from serving.stream.producers.producer import ANSWER_S, MOST_BYTES, MOST_WAITING_BYTES, Done, StreamMessage
from serving.stream.sources.redis_settings import PASSWORD_VARIABLE, RedisAddress

_LOG = logging.getLogger(__name__)
_AT_ONCE = 2_000  # messages in a round trip
VALUE = "value"  # the field of an entry, where the address names none


@dataclass
class _Call:
    """The messages of one call that aren't stored yet."""

    messages: deque[StreamMessage]
    done: Done
    size: int
    error: ShelfRankError | None = None


@final
class RedisProducer:
    """Append to streams by the key, in a thread. A Redis that doesn't answer at the start may come later.

    Args:
        address: of the streams.

    Raises:
        InputError: Redis refuses the client, or the key holds something else.
    """

    def __init__(self, address: RedisAddress) -> None:
        self._address, self._field = address, address.message_field or VALUE
        try:
            self._client = redis.Redis.from_url(
                address.url,
                password=address.password or None,
                socket_timeout=ANSWER_S,
                socket_connect_timeout=ANSWER_S,
                retry=Retry(NoBackoff(), 0),  # a call that failed may have been stored: its sender decides
            )
        except (ValueError, TypeError, redis.RedisError) as error:
            raise InputError(f"{address}: {error}") from None
        self._changed = threading.Condition()
        self._calls: deque[_Call] = deque()
        self._waiting_bytes = 0
        self._down = self._closing = False
        self._check_key()
        self._thread = threading.Thread(target=self._run, name="redis-stream", daemon=True)
        self._thread.start()

    @property
    def most_bytes(self) -> int:
        """See Producer."""
        return MOST_BYTES

    @property
    def failing(self) -> bool:
        """See Producer."""
        return self._down

    def send(self, messages: Sequence[StreamMessage], done: Done) -> None:
        """See Producer."""
        size = sum(len(message.value) for message in messages)
        with self._changed:
            accepted = not self._closing and self._waiting_bytes + size <= MOST_WAITING_BYTES
            if accepted and messages:
                self._calls.append(_Call(deque(messages), done, size))
                self._waiting_bytes += size
                self._changed.notify()
        if not accepted:
            done(LogUnavailable(f"{self._address}: {self._waiting_bytes:,} bytes wait for Redis already; send the events again later"))
        elif not messages:
            done(None)

    def close(self, timeout_s: float) -> bool:
        """See Producer."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _check_key(self) -> None:
        try:
            kinds = {name: self._client.type(name) for name in self._address.streams}
            persistence: dict[str, Any] = self._client.info("persistence")
        except (redis.exceptions.AuthenticationError, redis.ResponseError) as error:
            raise InputError(
                f"{self._address}: Redis refuses the client: {error}; check the user, {PASSWORD_VARIABLE} and the user's rights"
            ) from None
        except redis.RedisError as error:
            self._down = True
            _LOG.warning("%s: Redis doesn't answer yet (%s); events are refused until it does", self._address, error)
            return
        for name, kind in kinds.items():
            if kind not in (b"none", b"stream"):
                raise InputError(f"{self._address}: expected a stream or nothing under {name!r}, got {kind!r}; name another, or delete it")
        if not persistence.get("aof_enabled"):
            _LOG.warning(
                "%s: Redis keeps no append-only file: when it stops it loses events that were acknowledged; set `appendonly yes`, and"
                " `appendfsync always` where not even the last second may be lost",
                self._address,
            )

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._calls or self._closing)
                calls = list(self._calls)
                self._calls.clear()
            if not calls:
                return
            for chunk in _chunks(calls):
                self._append(chunk)
            for call in calls:
                with self._changed:
                    self._waiting_bytes -= call.size
                call.done(call.error)

    def _append(self, chunk: Sequence[tuple[_Call, StreamMessage]]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for _, message in chunk:
            pipeline.xadd(self._stream(message.key), {self._field: message.value})
        try:
            results: list[Any] = pipeline.execute(raise_on_error=False)
        except redis.RedisError as error:
            results = [error] * len(chunk)
        for (call, _), result in zip(chunk, results, strict=True):
            if isinstance(result, Exception):
                call.error = call.error or self._explained(result)
        failed = isinstance(results[-1], Exception)
        if failed and not self._down:
            _LOG.warning("events are refused: %s", self._explained(results[-1]))
        self._down = failed

    def _stream(self, key: str) -> str:
        streams = self._address.streams
        return streams[zlib.crc32(key.encode()) % len(streams)]

    def _explained(self, error: Exception) -> ShelfRankError:
        text = str(error)
        if isinstance(error, redis.exceptions.OutOfMemoryError):
            return LogUnavailable(
                f"{self._address}: Redis has no memory left for events; trim the stream (XTRIM) to what wasn't read yet, or raise"
                " `maxmemory`; then send them again"
            )
        if isinstance(error, redis.ResponseError):
            return LogUnavailable(f"{self._address}: Redis refuses events: {text}; mend that, and send them again")
        return LogUnavailable(f"{self._address}: Redis didn't store the events within {ANSWER_S:g} s ({text}); send them again later")


def _chunks(calls: Sequence[_Call]) -> list[list[tuple[_Call, StreamMessage]]]:
    messages = [(call, message) for call in calls for message in call.messages]
    return [messages[begin : begin + _AT_ONCE] for begin in range(0, len(messages), _AT_ONCE)]
