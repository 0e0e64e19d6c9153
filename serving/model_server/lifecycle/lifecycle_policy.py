"""Choose the next load or unload of one model, so that a version is always available while there is one to load."""

from collections.abc import Mapping, Set
from dataclasses import dataclass

from serving.model_server.lifecycle.version_status import State


@dataclass(frozen=True)
class Load:
    """Load this version."""

    version: int


@dataclass(frozen=True)
class Unload:
    """Unload this version."""

    version: int


def next_step(aspired: Set[int], held: Mapping[int, State], *, backing_off: Set[int]) -> Load | Unload | None:
    """Return the next step of a model from its aspired versions and the states of those that have one.

    A version that is no longer aspired is unloaded only when an aspired one is available, or when none is aspired at
    all; the newest missing one is loaded first. Versions in `backing_off` aren't retried yet; one that failed finally
    stays in `held` at END.
    """
    answering = any(state is State.AVAILABLE and version in aspired for version, state in held.items())
    leaving = [version for version, state in held.items() if version not in aspired and state is State.AVAILABLE]
    if leaving and (answering or not aspired):
        return Unload(min(leaving))
    missing = [version for version in aspired if held.get(version, State.START) is State.START and version not in backing_off]
    return Load(max(missing)) if missing else None
