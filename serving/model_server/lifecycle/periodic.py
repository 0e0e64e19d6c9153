"""Something done again and again on a thread of its own."""

import threading
from collections.abc import Callable


class Periodic:
    """Calls `call` every `seconds`, from now on until `stop`."""

    def __init__(self, call: Callable[[], None], *, seconds: float) -> None:
        self._call, self._seconds = call, seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, name="periodic", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Return when the last call has ended."""
        self._ended.set()
        self._thread.join()

    def _live(self) -> None:
        while not self._ended.wait(self._seconds):
            self._call()
