"""What servers said when they failed, in the log: the first time at once, and then now and then with how often."""

import logging
from typing import final

EVERY_S = 60.0
MOST_KEYS = 256


@final
class FailureLog:
    """Writes a failure unless the same one was written less than EVERY_S ago; those in between are counted. Time comes in as an argument.

    Of more than MOST_KEYS failures the one written longest ago is forgotten.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._written: dict[tuple[str, ...], tuple[float, int]] = {}  # by key, when, and how often since

    def note(self, key: tuple[str, ...], sentence: str, now_s: float) -> None:
        """It has happened; `key` tells it from others."""
        written_s, since = self._written.get(key, (-EVERY_S, 0))
        if now_s - written_s < EVERY_S:
            self._written[key] = (written_s, since + 1)
            return
        self._written.pop(key, None)
        self._written[key] = (now_s, 0)
        if len(self._written) > MOST_KEYS:
            del self._written[next(iter(self._written))]
        self._log.warning("%s%s", sentence, f" ({since:,} more since it was last written)" if since else "")
