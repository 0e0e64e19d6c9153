"""When a request is sent to a second replica as well, and how often that may be.

Dean & Barroso, "The Tail at Scale", 2013: a second request after the 95th percentile of the usual latency cuts the tail for some five
percent of additional load. The latency is that of the last calls; a budget holds the load down when all of them become slow at once.
"""

import math
from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass
from typing import final

from components.contract.errors import InputError


@dataclass(frozen=True)
class HedgeSettings:
    """How requests are hedged.

    Attributes:
        share: of all requests, that may be sent a second time; 0 for none.
        burst: as many may be at once, where few were before.
        quantile: of the latencies, after which a request is.
        least_s: it waits at least so long.
        window: how many of the last latencies count.
        known: with fewer of them the quantile isn't known, and a request waits for half of its time.
    """

    share: float = 0.05
    burst: float = 10.0
    quantile: float = 0.95
    least_s: float = 0.001
    window: int = 256
    known: int = 20

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise InputError(f"the share of requests that may be sent twice is from 0 to 1, got {self.share}")


@final
class Latency:
    """The last latencies of one door, and their quantile."""

    def __init__(self, settings: HedgeSettings) -> None:
        self._settings = settings
        self._came: deque[float] = deque()
        self._sorted: list[float] = []

    def add(self, seconds: float) -> None:
        """One more. Of a call that was cancelled, how long it had taken by then: it would have taken longer, and counts among the slow."""
        if len(self._came) == self._settings.window:
            del self._sorted[bisect_left(self._sorted, self._came.popleft())]
        self._came.append(seconds)
        insort(self._sorted, seconds)

    def hedge_after_s(self, left_s: float) -> float:
        """How long to wait for an answer before a second replica is asked, `left_s` before the deadline."""
        if len(self._sorted) < self._settings.known:
            return left_s / 2
        at = math.ceil(self._settings.quantile * len(self._sorted)) - 1
        return max(self._sorted[at], self._settings.least_s)


@final
class Budget:
    """A bucket of tokens: each request brings `share` of one, each hedge takes one, and it holds `burst`."""

    def __init__(self, settings: HedgeSettings) -> None:
        self._settings = settings
        self._tokens = settings.burst if settings.share else 0.0

    def earn(self) -> None:
        """A request was sent."""
        self._tokens = min(self._settings.burst, self._tokens + self._settings.share)

    def allows(self) -> bool:
        """Whether one may be sent a second time."""
        return self._tokens >= 1

    def take(self) -> None:
        """One was."""
        self._tokens -= 1
