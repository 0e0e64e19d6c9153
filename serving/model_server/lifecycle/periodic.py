"""Call a function periodically on a thread of its own."""

import threading
from collections.abc import Callable


class Periodic:
    """Thread that calls `call` every `seconds` until `stop`."""

    def __init__(self, call: Callable[[], None], *, seconds: float) -> None:
        self._call, self._seconds = call, seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run_loop, name="periodic", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop, and return when the last call has ended."""
        self._ended.set()
        self._thread.join()

    def _run_loop(self) -> None:
        while not self._ended.wait(self._seconds):
            self._call()
