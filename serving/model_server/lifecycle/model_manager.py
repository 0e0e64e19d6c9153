"""The models of a configuration, kept in step with their folders by one thread."""

import threading
import time
from dataclasses import dataclass, field

from serving.model_server.errors import Code, ServingError
from serving.model_server.lifecycle import labels as label_rules
from serving.model_server.lifecycle.lifecycle import Upkeep
from serving.model_server.lifecycle.models import Models, check_platforms
from serving.model_server.lifecycle.registry import Catalogue
from serving.model_server.lifecycle.version_status import State, States


@dataclass
class Awaited:
    """Models that someone waits for, and what became of them."""

    names: set[str]
    settled: threading.Event = field(default_factory=threading.Event)
    failed: list[str] = field(default_factory=list)
    stopped: bool = False


class Fleet:
    """`start` begins the thread, `reload` sets what to serve, `stop` ends the thread and unloads everything.

    Folders are looked at every `poll_s` seconds, or once for each configuration when that is 0.
    """

    def __init__(self, upkeep: Upkeep, catalogue: Catalogue, states: States, *, poll_s: float, unavailable_labels: bool) -> None:
        self._upkeep, self._catalogue, self._states = upkeep, catalogue, states
        self._poll_s = poll_s or float("inf")
        self._unavailable_labels = unavailable_labels
        self._models: Models = {}
        self._reloading = threading.Lock()
        self._awaited: list[Awaited] = []
        self._polled_at = -float("inf")
        self._awake = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._live, name="fleet", daemon=True)

    def start(self) -> None:
        """Begin to load."""
        self._thread.start()

    def reload(self, models: Models) -> None:
        """Serve these models in place of all others; returns when those that are new are available.

        Raises ServingError when the configuration is refused, and UNKNOWN when a new model can't be loaded.
        """
        with self._reloading:
            check_platforms(models, self._models)
            labels = label_rules.accepted(
                models, self._catalogue.labels(), available=self._is_available, unavailable_allowed=self._unavailable_labels
            )
            self._catalogue.set_labels(labels)
            awaited = Awaited(models.keys() - self._models.keys())
            self._models = models
            self._polled_at = -float("inf")
            self._awaited.append(awaited)
            self._awake.set()
            awaited.settled.wait()
        if awaited.stopped:
            raise ServingError(Code.CANCELLED, "the server is stopping")
        if awaited.failed:
            reasons = "".join(f"{{{reason}}}, " for reason in awaited.failed)
            raise ServingError(Code.UNKNOWN, f"{len(awaited.failed)} model(s) did not become available: {{{reasons}}}")

    def labels(self) -> dict[str, dict[str, int]]:
        """The labels of each model in the configuration, by its name."""
        return {name: dict(self._catalogue.labels().get(name, {})) for name in sorted(self._models)}

    def stop(self) -> None:
        """End the thread and unload every version, each once the requests that hold it have ended."""
        self._stopped = True
        self._awake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _is_available(self, model: str, version: int) -> bool:
        status = self._states.of(model).get(version)
        return status is not None and status.state is State.AVAILABLE

    def _live(self) -> None:
        while not self._stopped:
            self._awake.clear()
            now = time.monotonic()
            if now >= self._polled_at + self._poll_s or self._polled_at < 0:
                self._polled_at = now
                self._upkeep.poll(self._models)
            moved = self._upkeep.step(now)
            self._settle()
            if not moved:
                until = min(self._polled_at + self._poll_s, self._upkeep.resting_until())
                self._awake.wait(min(max(until - time.monotonic(), 0.001), 3600.0))
        for awaited in self._awaited:
            awaited.stopped = True
            awaited.settled.set()
        self._upkeep.unload_all()

    def _settle(self) -> None:
        for awaited in list(self._awaited):
            outcomes = {name: self._upkeep.outcome(name) for name in awaited.names}
            if None not in outcomes.values():
                awaited.failed = [reason for _, reason in sorted(outcomes.items()) if reason]
                awaited.settled.set()
                self._awaited.remove(awaited)
