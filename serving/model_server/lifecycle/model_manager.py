"""Manage the models of a configuration on one thread."""

import threading
import time
from dataclasses import dataclass, field

from serving.model_server.errors import Code, ServingError
from serving.model_server.lifecycle import labels as label_rules
from serving.model_server.lifecycle.lifecycle import Lifecycle
from serving.model_server.lifecycle.models import Models, check_platforms
from serving.model_server.lifecycle.registry import Registry
from serving.model_server.lifecycle.version_status import State, VersionStatuses


@dataclass
class PendingReload:
    """A reload's new models, and the event that it waits for: all are available, or have failed."""

    names: set[str]
    done: threading.Event = field(default_factory=threading.Event)
    failed: list[str] = field(default_factory=list)
    stopped: bool = False


class ModelManager:
    """Thread that keeps models available: `start` begins it, `reload` sets what to serve, `stop` unloads everything.

    Folders are listed every `poll_s` seconds, or once for each configuration when that is 0.
    """

    def __init__(
        self, lifecycle: Lifecycle, registry: Registry, statuses: VersionStatuses, *, poll_s: float, unavailable_labels: bool
    ) -> None:
        self._lifecycle, self._registry, self._statuses = lifecycle, registry, statuses
        self._poll_s = poll_s or float("inf")
        self._unavailable_labels = unavailable_labels
        self._models: Models = {}
        self._reloading = threading.Lock()
        self._pending: list[PendingReload] = []
        self._polled_at = -float("inf")
        self._awake = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run_loop, name="fleet", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def reload(self, models: Models) -> None:
        """Serve these models in place of all others; return when the new ones are available.

        Raises ServingError when the configuration is rejected, and UNKNOWN when a new model can't be loaded.
        """
        with self._reloading:
            check_platforms(models, self._models)
            labels = label_rules.accepted(
                models, self._registry.labels(), available=self._is_available, unavailable_allowed=self._unavailable_labels
            )
            self._registry.set_labels(labels)
            pending = PendingReload(models.keys() - self._models.keys())
            self._models = models
            self._polled_at = -float("inf")
            self._pending.append(pending)
            self._awake.set()
            pending.done.wait()
        if pending.stopped:
            raise ServingError(Code.CANCELLED, "the server is stopping")
        if pending.failed:
            reasons = "".join(f"{{{reason}}}, " for reason in pending.failed)
            raise ServingError(Code.UNKNOWN, f"{len(pending.failed)} model(s) did not become available: {{{reasons}}}")

    def labels(self) -> dict[str, dict[str, int]]:
        """Return the labels of each model in the configuration, by its name."""
        return {name: dict(self._registry.labels().get(name, {})) for name in sorted(self._models)}

    def stop(self) -> None:
        """End the thread and unload every version, each once the requests that hold it have ended."""
        self._stopped = True
        self._awake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _is_available(self, model: str, version: int) -> bool:
        status = self._statuses.versions(model).get(version)
        return status is not None and status.state is State.AVAILABLE

    def _run_loop(self) -> None:
        while not self._stopped:
            self._awake.clear()
            now = time.monotonic()
            if now >= self._polled_at + self._poll_s or self._polled_at < 0:
                self._polled_at = now
                self._lifecycle.poll(self._models)
            moved = self._lifecycle.step(now)
            self._settle()
            if not moved:
                until = min(self._polled_at + self._poll_s, self._lifecycle.next_retry_at())
                self._awake.wait(min(max(until - time.monotonic(), 0.001), 3600.0))
        for pending in self._pending:
            pending.stopped = True
            pending.done.set()
        self._lifecycle.unload_all()

    def _settle(self) -> None:
        for pending in list(self._pending):
            outcomes = {name: self._lifecycle.outcome(name) for name in pending.names}
            if None not in outcomes.values():
                pending.failed = [reason for _, reason in sorted(outcomes.items()) if reason]
                pending.done.set()
                self._pending.remove(pending)
