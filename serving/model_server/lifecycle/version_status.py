"""Keep the status of each version of each model."""

import threading
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
        self._lock = threading.Lock()

    def set(self, model: str, version: int, status: Status) -> None:
        """Set a version's status."""
        with self._lock:
            self._versions.setdefault(model, {})[version] = status

    def versions(self, model: str) -> dict[int, Status]:
        """Return the model's versions, newest first; empty when none was ever seen."""
        with self._lock:
            return dict(sorted(self._versions.get(model, {}).items(), reverse=True))
