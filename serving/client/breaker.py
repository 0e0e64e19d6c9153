"""A circuit breaker: whoever has failed often in a row isn't asked for a while, so that nobody waits for him in vain.

Closed, until `failures` in a row; then open for `open_s`, when `allows` says no; then half open: one try is let through, whose end closes
it or opens it again. (Nygard, Release It!, chapter 5.) Time comes in as an argument. Not for several threads.
"""

from dataclasses import dataclass
from typing import final


@dataclass(frozen=True)
class BreakerSettings:
    """When it opens.

    Attributes:
        failures: after how many in a row.
        open_s: for how many seconds.
        fair_s: who wouldn't wait even so long for an answer can't call its lack a failure: else callers in a hurry would close it for all.
    """

    failures: int = 5
    open_s: float = 1.0
    fair_s: float = 0.01


@final
class Breaker:
    """Of one thing that may fail."""

    def __init__(self, settings: BreakerSettings) -> None:
        self._settings = settings
        self._failures = 0
        self._closed_again_s = 0.0

    def allows(self, now_s: float) -> bool:
        """Whether to try. Where it is half open the one who asks is the one who tries; others wait for another `open_s`."""
        if self._failures < self._settings.failures:
            return True
        if now_s < self._closed_again_s:
            return False
        self._closed_again_s = now_s + self._settings.open_s
        return True

    def succeeded(self) -> None:
        """It answered."""
        self._failures = 0

    def late(self, now_s: float, waited_s: float) -> None:
        """It didn't within the time that it had: a failure, if that was a fair one."""
        if waited_s >= self._settings.fair_s:
            self.failed(now_s)

    def failed(self, now_s: float) -> None:
        """It didn't."""
        self._failures += 1
        if self._failures >= self._settings.failures:
            self._closed_again_s = now_s + self._settings.open_s

    @property
    def is_open(self) -> bool:
        """Whether the last tries failed, so many as it takes."""
        return self._failures >= self._settings.failures
