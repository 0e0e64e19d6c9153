"""Load and unload versions to match the folders on disk; the calling thread is `model_manager`'s."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from serving.model_server.errors import ServingError, from_exception
from serving.model_server.inference.runner import Runner
from serving.model_server.lifecycle.lifecycle_policy import Load, next_step
from serving.model_server.lifecycle.models import Models
from serving.model_server.lifecycle.registry import Registry
from serving.model_server.lifecycle.servable import Servable
from serving.model_server.lifecycle.version_status import State, Status, VersionStatuses
from serving.model_server.lifecycle.versions import by_version, select

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Loader:
    """Functions that load and warm up a version (model, number, folder), and unload it."""

    load: Callable[[str, int, Path], Runner]
    unload: Callable[[Runner], None]


@dataclass
class VersionLoad:
    """Load state of one version: failed attempts, and the earliest time of the next in seconds of a monotonic clock."""

    path: Path
    state: State = State.START
    failures: int = 0
    not_before: float = 0.0
    error: ServingError | None = None


@dataclass
class ServedModel:
    """One model: the folders of the aspired versions, and the versions with a load state."""

    aspired: dict[int, Path] = field(default_factory=dict)
    held: dict[int, VersionLoad] = field(default_factory=dict)


class Lifecycle:
    """Lifecycle of all versions. Not thread-safe: one thread polls and steps. Times are seconds of a monotonic clock.

    A failed load is retried `retries` times, `retry_s` apart.
    """

    def __init__(self, registry: Registry, statuses: VersionStatuses, loader: Loader, *, retries: int, retry_s: float) -> None:
        self._registry, self._statuses, self._loader = registry, statuses, loader
        self._retries, self._retry_s = retries, retry_s
        self._served: dict[str, ServedModel] = {}

    def poll(self, models: Models) -> None:
        """List the versions under every base path; where one can't be read nothing changes, as in TensorFlow Serving.

        No version of a model that isn't among `models` is aspired any more.
        """
        for name in self._served.keys() - models.keys():
            self._served[name].aspired = {}
        on_disk: dict[str, dict[int, Path]] = {}
        for model in models.values():
            base = Path(model.base_path)
            try:
                names = [path.name for path in base.iterdir()]
            except OSError as error:
                log.error("can't look for versions of %s, and change nothing: %s", model.name, error)
                return
            folders = select(by_version(names), model.policy)
            if not folders:
                log.warning("no version of %s under %s: expected a folder named by a number, such as 1/", model.name, base)
            on_disk[model.name] = {version: base / name for version, name in folders.items()}
        for name, folders_of in on_disk.items():
            self._served.setdefault(name, ServedModel()).aspired = folders_of

    def step(self, now: float) -> bool:
        """Load or unload one version of each model that needs it; return False when none did."""
        moved = [self._step(name, served, now) for name, served in self._served.items()]
        return any(moved)

    def outcome(self, name: str) -> str | None:
        """Return "" when a version of the model is available, the reason when all have failed, None until then."""
        served = self._served.get(name, ServedModel())
        held = {version: served.held[version] for version in served.aspired if version in served.held}
        if any(version.state is State.AVAILABLE for version in held.values()):
            return ""
        if not held or any(version.state is not State.END for version in held.values()):
            return None
        error = held[max(held)].error
        return f"{{name: {name} version: {max(held)}}} due to error: {error.status_text if error else 'unknown'}"

    def next_retry_at(self) -> float:
        """Return when the next failed load may be retried; infinity when none waits."""
        waits = (held.not_before for served in self._served.values() for held in served.held.values() if held.state is State.START)
        return min(waits, default=float("inf"))

    def unload_all(self) -> None:
        """Unload every version, each once the requests that hold it have ended."""
        for name, served in self._served.items():
            for version in [version for version, held in served.held.items() if held.state is State.AVAILABLE]:
                self._unload(name, served, version)

    def _step(self, name: str, served: ServedModel, now: float) -> bool:
        for version in [v for v, held in served.held.items() if v not in served.aspired and held.state is not State.AVAILABLE]:
            if served.held.pop(version).state is State.START:
                self._statuses.set(name, version, Status(State.END))
        for version, path in served.aspired.items():
            if version not in served.held:
                served.held[version] = VersionLoad(path)
                self._statuses.set(name, version, Status(State.START))
        backing_off = {version for version, held in served.held.items() if held.not_before > now}
        held_states = {version: held.state for version, held in served.held.items()}
        step = next_step(served.aspired.keys(), held_states, backing_off=backing_off)
        if step is None:
            return False
        if isinstance(step, Load):
            self._load(name, served.held[step.version], step.version, now)
        else:
            self._unload(name, served, step.version)
        return True

    def _load(self, name: str, held: VersionLoad, version: int, now: float) -> None:
        self._statuses.set(name, version, Status(State.LOADING))
        try:
            runner = self._loader.load(name, version, held.path)
        except Exception as error:
            held.error = from_exception(error)
            held.failures += 1
            held.not_before = now + self._retry_s
            log.error("version %d of %s doesn't load (try %d): %s", version, name, held.failures, held.error.status_text)
            if held.failures > self._retries:
                held.state = State.END
            # TensorFlow Serving reports no error until it gives up; a client that waits for the version would wait in
            # vain.
            self._statuses.set(name, version, Status(State.END if held.state is State.END else State.LOADING, held.error))
            return
        self._registry.add(Servable(name, version, runner))
        held.state = State.AVAILABLE
        self._statuses.set(name, version, Status(State.AVAILABLE))
        log.info("version %d of %s is available", version, name)

    def _unload(self, name: str, served: ServedModel, version: int) -> None:
        self._statuses.set(name, version, Status(State.UNLOADING))
        servable = self._registry.withdraw(name, version)
        servable.wait_until_free()
        self._loader.unload(servable.runner)
        del served.held[version]
        self._statuses.set(name, version, Status(State.END))
        log.info("version %d of %s is unloaded", version, name)
