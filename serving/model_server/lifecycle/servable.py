"""Count the requests that run on a version, so that it is unloaded only when the last has ended."""

import threading
from types import TracebackType

from serving.model_server.inference.runner import Runner


class Servable:
    """One loaded version of a model. `with servable:` holds it while a request runs; get it only by Registry.lease."""

    def __init__(self, model: str, version: int, runner: Runner) -> None:
        self.model = model
        self.version = version
        self.runner = runner
        self._users = 0
        self._free = threading.Condition()

    def hold(self) -> "Servable":
        """Count one more user; call it before the version can be withdrawn."""
        with self._free:
            self._users += 1
        return self

    def __enter__(self) -> "Servable":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._free:
            self._users -= 1
            if not self._users:
                self._free.notify_all()

    def wait_until_free(self) -> None:
        """Block until no request holds it."""
        with self._free:
            self._free.wait_for(lambda: not self._users)
