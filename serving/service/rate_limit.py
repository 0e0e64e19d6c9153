"""How often one client may call: a token bucket for each, and a bound on how many are kept."""

import math
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

BURST_S = 2.0  # a client that was quiet for so long may send as much at once as it may in that time
MOST_CLIENTS = 10_000


@dataclass(frozen=True)
class _Bucket:
    left: float
    at_s: float


@final
class Rates:
    """A limit for each of many clients.

    A bucket fills by `per_s` and holds at most what fills in BURST_S, but at least one. Of more than MOST_CLIENTS clients the one that has
    been quiet for longest is forgotten; its bucket was most likely full again.

    Args:
        per_s: calls a second that a client may go on making; 0 for no limit.
    """

    def __init__(self, per_s: float) -> None:
        self._per_s, self._room = per_s, max(1.0, per_s * BURST_S)
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def admit(self, client: str) -> None:
        """Count a call.

        Raises:
            RateExceeded: there have been too many.
        """
        if wait_s := self.wait_s(client, time.monotonic()):
            raise RateExceeded(wait_s)

    def wait_s(self, client: str, now_s: float) -> float:
        """0 where the client may call now, which is counted; else for how many seconds it mayn't."""
        if not self._per_s:
            return 0.0
        bucket = self._buckets.pop(client, _Bucket(self._room, now_s))
        left = min(self._room, bucket.left + (now_s - bucket.at_s) * self._per_s)
        allowed = left >= 1.0
        self._buckets[client] = _Bucket(left - 1.0 if allowed else left, now_s)  # as the last that was heard of
        if len(self._buckets) > MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1.0 - left) / self._per_s


class RateExceeded(Exception):  # noqa: N818 - a limit at work
    """There have been too many calls; the next may come in `wait_s`, a whole number of seconds."""

    def __init__(self, wait_s: float, expected: str = "expected fewer calls from one client") -> None:
        self.wait_s = max(1, math.ceil(wait_s))
        super().__init__(f"{expected}; send the next after {self.wait_s} s")


@final
class AtOnce:
    """A limit on calls that are under way at a time, of all clients together.

    Args:
        most: how many.
        what: they are, for the error.
    """

    def __init__(self, most: int, what: str) -> None:
        self._most, self._what = most, what
        self._running = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Be one of them while the block runs.

        Raises:
            RateExceeded: there are as many already.
        """
        if self._running >= self._most:
            raise RateExceeded(1.0, f"expected at most {self._most} {self._what} at a time, of all clients together")
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1
