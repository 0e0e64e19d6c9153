"""Limit each client's call rate by a token bucket, and the number of calls under way."""

import math
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

BURST_S = 2.0  # a burst after a pause is at most what the rate allows in so long
MOST_CLIENTS = 10_000


@dataclass(frozen=True)
class _Bucket:
    tokens: float
    updated_s: float


@final
class RateLimiter:
    """Limit the rate of each of many clients.

    A bucket fills by `per_s` and holds at most what fills in BURST_S, but at least one. Beyond MOST_CLIENTS clients the
    least recently active one is forgotten; its bucket was most likely full again.

    Args:
        per_s: sustained calls a second of one client; 0 for no limit.
    """

    def __init__(self, per_s: float) -> None:
        self._per_s, self._capacity = per_s, max(1.0, per_s * BURST_S)
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def admit(self, client: str) -> None:
        """Count a call.

        Raises:
            RateExceeded: there have been too many.
        """
        if wait_s := self.wait_s(client, time.monotonic()):
            raise RateExceeded(wait_s)

    def wait_s(self, client: str, now_s: float) -> float:
        """Return 0 if the client may call now, and count the call; else the seconds to wait."""
        if not self._per_s:
            return 0.0
        bucket = self._buckets.pop(client, _Bucket(self._capacity, now_s))
        tokens = min(self._capacity, bucket.tokens + (now_s - bucket.updated_s) * self._per_s)
        allowed = tokens >= 1.0
        self._buckets[client] = _Bucket(tokens - 1.0 if allowed else tokens, now_s)  # moves to the end
        if len(self._buckets) > MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1.0 - tokens) / self._per_s


class RateExceeded(Exception):  # noqa: N818 - a limit at work
    """Refuse a call; the next may come in `wait_s`, a whole number of seconds."""

    def __init__(self, wait_s: float, expected: str = "expected fewer calls from one client") -> None:
        self.wait_s = max(1, math.ceil(wait_s))
        super().__init__(f"{expected}; send the next after {self.wait_s} s")


@final
class ConcurrencyLimit:
    """Limit the calls under way, of all clients together.

    Args:
        limit: number of calls.
        what: their name, for the error.
    """

    def __init__(self, limit: int, what: str) -> None:
        self._limit, self._what = limit, what
        self._running = 0

    @contextmanager
    def acquire(self) -> Iterator[None]:
        """Count as one call while the block runs.

        Raises:
            RateExceeded: the limit is reached.
        """
        if self._running >= self._limit:
            raise RateExceeded(1.0, f"expected at most {self._limit} {self._what} at a time, of all clients together")
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
