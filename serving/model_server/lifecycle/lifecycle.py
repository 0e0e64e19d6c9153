"""Keeping the served versions in step with the folders: versions load, warm up, answer, and go. One thread's work, without the thread."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from serving.model_server.errors import ServingError, from_exception
from serving.model_server.inference.runner import Runner
from serving.model_server.lifecycle.lifecycle_policy import Load, next_step
from serving.model_server.lifecycle.models import Models
from serving.model_server.lifecycle.registry import Catalogue
from serving.model_server.lifecycle.servable import Servable
from serving.model_server.lifecycle.version_status import State, States, Status
from serving.model_server.lifecycle.versions import by_version, wanted

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Loader:
    """How a version (model, number, folder) comes into memory, warm, and how it leaves."""

    load: Callable[[str, int, Path], Runner]
    unload: Callable[[Runner], None]


@dataclass
class Held:
    """One version that was or should be brought up."""

    path: Path
    state: State = State.START
    failures: int = 0
    not_before: float = 0.0
    error: ServingError | None = None


@dataclass
class Served:
    """The folders of one model that should be served, and the versions held."""

    aspired: dict[int, Path] = field(default_factory=dict)
    held: dict[int, Held] = field(default_factory=dict)


class Upkeep:
    """Not thread-safe: one thread polls and steps. Times are seconds of a monotonic clock.

    A failed load is tried `retries` times more, `retry_s` apart.
    """

    def __init__(self, catalogue: Catalogue, states: States, loader: Loader, *, retries: int, retry_s: float) -> None:
        self._catalogue, self._states, self._loader = catalogue, states, loader
        self._retries, self._retry_s = retries, retry_s
        self._served: dict[str, Served] = {}

    def poll(self, models: Models) -> None:
        """Look at every base path; where one can't be read all models stay as they are, as in TensorFlow Serving.

        What isn't among `models` is no longer wanted, whatever its folder says.
        """
        for name in self._served.keys() - models.keys():
            self._served[name].aspired = {}
        found: dict[str, dict[int, Path]] = {}
        for model in models.values():
            base = Path(model.base_path)
            try:
                names = [path.name for path in base.iterdir()]
            except OSError as error:
                log.error("can't look for versions of %s, and change nothing: %s", model.name, error)
                return
            folders = wanted(by_version(names), model.policy)
            if not folders:
                log.warning("no version of %s under %s: expected a folder named by a number, such as 1/", model.name, base)
            found[model.name] = {version: base / name for version, name in folders.items()}
        for name, folders_of in found.items():
            self._served.setdefault(name, Served()).aspired = folders_of

    def step(self, now: float) -> bool:
        """Do one thing for each model that has something to do; False when there was nothing."""
        moved = [self._step(name, served, now) for name, served in self._served.items()]
        return any(moved)

    def outcome(self, name: str) -> str | None:
        """Empty when a version of the model answers, the reason when all have failed for good, None while that is open."""
        served = self._served.get(name, Served())
        held = {version: served.held[version] for version in served.aspired if version in served.held}
        if any(version.state is State.AVAILABLE for version in held.values()):
            return ""
        if not held or any(version.state is not State.END for version in held.values()):
            return None
        error = held[max(held)].error
        return f"{{name: {name} version: {max(held)}}} due to error: {error.status_text if error else 'unknown'}"

    def resting_until(self) -> float:
        """When the next failed load may be tried again; infinity when none waits."""
        waits = (held.not_before for served in self._served.values() for held in served.held.values() if held.state is State.START)
        return min(waits, default=float("inf"))

    def unload_all(self) -> None:
        """Take every version away, each once the requests that hold it have ended."""
        for name, served in self._served.items():
            for version in [version for version, held in served.held.items() if held.state is State.AVAILABLE]:
                self._unload(name, served, version)

    def _step(self, name: str, served: Served, now: float) -> bool:
        for version in [v for v, held in served.held.items() if v not in served.aspired and held.state is not State.AVAILABLE]:
            if served.held.pop(version).state is State.START:
                self._states.set(name, version, Status(State.END))
        for version, path in served.aspired.items():
            if version not in served.held:
                served.held[version] = Held(path)
                self._states.set(name, version, Status(State.START))
        resting = {version for version, held in served.held.items() if held.not_before > now}
        held_states = {version: held.state for version, held in served.held.items()}
        step = next_step(served.aspired.keys(), held_states, resting=resting)
        if step is None:
            return False
        if isinstance(step, Load):
            self._load(name, served.held[step.version], step.version, now)
        else:
            self._unload(name, served, step.version)
        return True

    def _load(self, name: str, held: Held, version: int, now: float) -> None:
        self._states.set(name, version, Status(State.LOADING))
        try:
            runner = self._loader.load(name, version, held.path)
        except Exception as error:
            held.error = from_exception(error)
            held.failures += 1
            held.not_before = now + self._retry_s
            log.error("version %d of %s doesn't load (try %d): %s", version, name, held.failures, held.error.status_text)
            if held.failures > self._retries:
                held.state = State.END
            # TensorFlow Serving keeps the reason to itself until it gives up; whoever waits for the version would wait in vain.
            self._states.set(name, version, Status(State.END if held.state is State.END else State.LOADING, held.error))
            return
        self._catalogue.add(Servable(name, version, runner))
        held.state = State.AVAILABLE
        self._states.set(name, version, Status(State.AVAILABLE))
        log.info("version %d of %s is available", version, name)

    def _unload(self, name: str, served: Served, version: int) -> None:
        self._states.set(name, version, Status(State.UNLOADING))
        servable = self._catalogue.withdraw(name, version)
        servable.wait_until_free()
        self._loader.unload(servable.runner)
        del served.held[version]
        self._states.set(name, version, Status(State.END))
        log.info("version %d of %s is unloaded", version, name)
