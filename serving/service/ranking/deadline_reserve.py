"""Reserve part of a deadline for what follows the model: fallback, rules, response and network."""

from typing import final

_GAIN, _DEVIATION_GAIN, _DEVIATIONS = 1 / 8, 1 / 4, 4
_MIN_S = 0.005  # network time, which the service can't measure
_FIRST_S = 0.1  # the first response of a process loads lazily
_MAX_SHARE = 0.5  # the model gets the other half at least
_NETWORK_SHARE = 0.05  # of a caller's deadline, which began when the call was sent


@final
class DeadlineReserve:
    """Estimate how long a response takes once the scores are there: smoothed mean plus four mean deviations.

    The estimator of TCP's retransmission timer: RFC 6298, section 2, equations 2.2 and 2.3; it grows at once where
    responses become slow, such as on a busy machine, and shrinks over some dozens of them.
    """

    def __init__(self) -> None:
        self._mean_s: float | None = None
        self._deviation_s = 0.0

    def observe(self, rest_s: float) -> None:
        """Add the seconds from the scores, or from their deadline, to the response."""
        rest_s = max(rest_s, 0.0)
        if self._mean_s is None:
            self._mean_s, self._deviation_s = rest_s, rest_s / 2
            return
        self._deviation_s += _DEVIATION_GAIN * (abs(rest_s - self._mean_s) - self._deviation_s)
        self._mean_s += _GAIN * (rest_s - self._mean_s)

    def seconds(self, deadline_s: float, *, of_caller: bool = False) -> float:
        """Return the seconds to reserve of a deadline; `of_caller` where the caller's clock measures it."""
        expected_s = _FIRST_S if self._mean_s is None else self._mean_s + _DEVIATIONS * self._deviation_s
        network_s = deadline_s * _NETWORK_SHARE if of_caller else 0.0
        return min(max(expected_s, _MIN_S) + network_s, deadline_s * _MAX_SHARE)
