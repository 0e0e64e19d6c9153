"""Stop calling a dependency for a while once it has failed several times in a row (circuit breaker).

Closed until `failures` in a row; then open for `open_s`, while `allows` returns False; then half open: one call is let
through, and its outcome closes the breaker or opens it again (Nygard, Release It!, chapter 5). Not thread-safe.
"""

from dataclasses import dataclass
from typing import final


@dataclass(frozen=True)
class BreakerSettings:
    """Configure when a circuit breaker opens.

    Attributes:
        failures: consecutive failures after which it opens.
        open_s: seconds it stays open.
        min_timeout_s: a timeout counts as a failure only if the caller waited at least this long; else callers in a
            hurry would open the breaker for all.
    """

    failures: int = 5
    open_s: float = 1.0
    min_timeout_s: float = 0.01


@final
class CircuitBreaker:
    """Track the failures of one dependency."""

    def __init__(self, settings: BreakerSettings) -> None:
        self._settings = settings
        self._failures = 0
        self._closed_again_s = 0.0

    def allows(self, now_s: float) -> bool:
        """Return whether to call. When half open one caller gets the trial call; others wait for another `open_s`."""
        if self._failures < self._settings.failures:
            return True
        if now_s < self._closed_again_s:
            return False
        self._closed_again_s = now_s + self._settings.open_s
        return True

    def record_success(self) -> None:
        """Close the breaker: a call succeeded."""
        self._failures = 0

    def record_timeout(self, now_s: float, waited_s: float) -> None:
        """Count a call that timed out as a failure if it had at least `min_timeout_s`."""
        if waited_s >= self._settings.min_timeout_s:
            self.record_failure(now_s)

    def record_failure(self, now_s: float) -> None:
        """Count a failed call."""
        self._failures += 1
        if self._failures >= self._settings.failures:
            self._closed_again_s = now_s + self._settings.open_s

    @property
    def is_open(self) -> bool:
        """Return whether the last calls failed, as many as open the breaker."""
        return self._failures >= self._settings.failures
