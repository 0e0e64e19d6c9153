"""Decide when a request is sent to a second replica as well, and limit how often.

Dean & Barroso, "The Tail at Scale", 2013: a second request after the 95th percentile of the usual latency cuts the tail
for some 5 % more load. The latency is that of the last calls; a token bucket bounds the load when all of them become
slow at once.
"""

import math
from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass
from typing import final

from components.contract.errors import InputError


@dataclass(frozen=True)
class HedgeSettings:
    """Configure hedged requests.

    Attributes:
        share: of all requests, that may be sent a second time; 0 for none.
        burst: capacity of the token bucket: hedges allowed at once after few were sent.
        quantile: of the latencies, after which a request is hedged.
        min_delay_s: least delay before a hedge.
        window: latencies of the last calls that are kept.
        min_samples: with fewer latencies the quantile is unknown, and a request is hedged after half of its time.
    """

    share: float = 0.05
    burst: float = 10.0
    quantile: float = 0.95
    min_delay_s: float = 0.001
    window: int = 256
    min_samples: int = 20

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise InputError(f"the share of requests that may be sent twice is from 0 to 1, got {self.share}")


@final
class LatencyWindow:
    """Keep the last latencies of one endpoint, sorted for their quantile."""

    def __init__(self, settings: HedgeSettings) -> None:
        self._settings = settings
        self._by_age: deque[float] = deque()
        self._sorted: list[float] = []

    def add(self, seconds: float) -> None:
        """Add a latency in seconds. Of a cancelled call it is the time until the cancellation, a lower bound."""
        if len(self._by_age) == self._settings.window:
            del self._sorted[bisect_left(self._sorted, self._by_age.popleft())]
        self._by_age.append(seconds)
        insort(self._sorted, seconds)

    def hedge_after_s(self, left_s: float) -> float:
        """Return the seconds to wait for an answer before a second replica is called, `left_s` before the deadline."""
        if len(self._sorted) < self._settings.min_samples:
            return left_s / 2
        rank = math.ceil(self._settings.quantile * len(self._sorted)) - 1
        return max(self._sorted[rank], self._settings.min_delay_s)


@final
class HedgeBudget:
    """Limit hedges by a token bucket of size `burst`: a request deposits `share` of a token, a hedge withdraws one."""

    def __init__(self, settings: HedgeSettings) -> None:
        self._settings = settings
        self._tokens = settings.burst if settings.share else 0.0

    def deposit(self) -> None:
        """Credit a request that was sent."""
        self._tokens = min(self._settings.burst, self._tokens + self._settings.share)

    def allows(self) -> bool:
        """Return whether a request may be sent a second time."""
        return self._tokens >= 1

    def withdraw(self) -> None:
        """Debit a hedge that was sent."""
        self._tokens -= 1
