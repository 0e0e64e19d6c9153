"""Write to a stream of Redis: what waits goes over in one round trip, and is acknowledged as Redis answers."""

import logging
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from components.contract.errors import InputError, LogUnavailable, ShelfRankError
from serving.stream.producers.producer import ANSWER_S, MOST_BYTES, MOST_WAITING_BYTES, Done, StreamMessage

_LOG = logging.getLogger(__name__)
_AT_ONCE = 2_000  # messages in a round trip
KEY, VALUE = b"key", b"value"  # fields of an entry


@dataclass(frozen=True)
class RedisStream:
    """The URL of a Redis, without the stream's name, and the name."""

    url: str
    stream: str

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}?stream={self.stream}"


def parse_redis_stream(address: str) -> RedisStream:
    """Parse `redis://HOST:PORT/DB?stream=NAME`; other options of the URL are redis-py's.

    Raises:
        InputError: it names no stream, or a password.
    """
    parts = urlsplit(address)
    options = parse_qs(parts.query, keep_blank_values=True)
    streams = options.pop("stream", [])
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    if parts.scheme not in ("redis", "rediss") or not parts.hostname or len(streams) != 1 or not streams[0]:
        raise InputError(f"expected redis://HOST:PORT/DB?stream=NAME, got {shown}{'?stream=' + ','.join(streams) if streams else ''}")
    if parts.password or "password" in options:
        raise InputError(f"{shown}: others can see a password in an address; give it in SHELFRANK_REDIS_PASSWORD or a file")
    return RedisStream(urlunsplit(parts._replace(query=urlencode(options, doseq=True))), streams[0])


@dataclass
class _Call:
    """The messages of one call that aren't stored yet."""

    messages: deque[StreamMessage]
    done: Done
    size: int
    error: ShelfRankError | None = None


@final
class RedisProducer:
    """Append to one stream, in a thread. A Redis that doesn't answer at the start may come later.

    Args:
        address: of the stream.
        password: of Redis, "" for none.

    Raises:
        InputError: Redis refuses the client, or the key holds something else.
    """

    def __init__(self, address: RedisStream, *, password: str = "") -> None:
        self._address = address
        try:
            self._client = redis.Redis.from_url(
                address.url,
                **({"password": password} if password else {}),
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
            kind = self._client.type(self._address.stream)
            persistence: dict[str, Any] = self._client.info("persistence")
        except (redis.exceptions.AuthenticationError, redis.ResponseError) as error:
            raise InputError(f"{self._address}: Redis refuses the client: {error}; check the user, the password and its rights") from None
        except redis.RedisError as error:
            self._down = True
            _LOG.warning("%s: Redis doesn't answer yet (%s); events are refused until it does", self._address, error)
            return
        if kind not in (b"none", b"stream"):
            raise InputError(f"{self._address}: expected a stream or nothing under that key, got {kind!r}; name another, or delete it")
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
            pipeline.xadd(self._address.stream, {KEY: message.key.encode(), VALUE: message.value})
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
