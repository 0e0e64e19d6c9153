"""Measure what a policy costs: processor seconds by part of the work."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import final


@final
class Meter:
    """Processor seconds of this process by part, all threads."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def measure(self, part: str) -> Iterator[None]:
        """Count the block for a part."""
        began = time.process_time()
        try:
            yield
        finally:
            self._seconds[part] += time.process_time() - began

    def add(self, part: str, seconds: float) -> None:
        """Count seconds that were measured elsewhere."""
        self._seconds[part] += seconds

    def taken(self) -> dict[str, float]:
        """Return the seconds since the last call, by part."""
        seconds = {part: round(each, 3) for part, each in self._seconds.items()}
        self._seconds.clear()
        return seconds
