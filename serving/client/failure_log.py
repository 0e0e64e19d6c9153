"""Log failures of servers: the first at once, repetitions at most once a minute with their count."""

import logging
from typing import final

EVERY_S = 60.0
MAX_KEYS = 256


@final
class FailureLog:
    """Log a failure unless the same one was logged less than EVERY_S ago; those in between are counted.

    Beyond MAX_KEYS kinds of failure the one logged longest ago is forgotten.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._written: dict[tuple[str, ...], tuple[float, int]] = {}  # key -> (time logged, repetitions since)

    def note(self, key: tuple[str, ...], sentence: str, now_s: float) -> None:
        """Log or count a failure; failures of equal `key` are repetitions of each other."""
        written_s, since = self._written.get(key, (-EVERY_S, 0))
        if now_s - written_s < EVERY_S:
            self._written[key] = (written_s, since + 1)
            return
        self._written.pop(key, None)
        self._written[key] = (now_s, 0)
        if len(self._written) > MAX_KEYS:
            del self._written[next(iter(self._written))]
        self._log.warning("%s%s", sentence, f" ({since:,} more since it was last written)" if since else "")
