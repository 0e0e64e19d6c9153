"""Keep the status of each version of each model, and wait for changes."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from serving.model_server.errors import ServingError


class State(IntEnum):
    """State of a version, by the numbers of GetModelStatus."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class Status:
    """State of a version, and the error of its last load if that failed."""

    state: State
    error: ServingError | None = None


class VersionStatuses:
    """Last status of every version ever seen. Thread-safe."""

    def __init__(self) -> None:
        self._versions: dict[str, dict[int, Status]] = {}
        self._changed = threading.Condition()

    def set(self, model: str, version: int, status: Status) -> None:
        """Set a version's status and wake waiting threads."""
        with self._changed:
            self._versions.setdefault(model, {})[version] = status
            self._changed.notify_all()

    def versions(self, model: str) -> dict[int, Status]:
        """Return the model's versions, newest first; empty when none was ever seen."""
        with self._changed:
            return dict(sorted(self._versions.get(model, {}).items(), reverse=True))

    def wait(self, done: Callable[[], bool]) -> None:
        """Block until `done`, evaluated after each change, is true."""
        with self._changed:
            while not done():
                self._changed.wait(0.1)
