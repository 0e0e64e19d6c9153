"""The next step for one model, so that it never stops answering while there is something to answer with."""

from collections.abc import Mapping, Set
from dataclasses import dataclass

from serving.model_server.lifecycle.version_status import State


@dataclass(frozen=True)
class Load:
    """Bring this version up."""

    version: int


@dataclass(frozen=True)
class Unload:
    """Take this version away."""

    version: int


def next_step(wanted: Set[int], held: Mapping[int, State], *, resting: Set[int]) -> Load | Unload | None:
    """What to do with a model whose versions `wanted` should be served and whose versions `held` are in these states.

    A version that is no longer wanted goes only when a wanted one answers, or when none is wanted at all; the newest missing one comes
    first. Those `resting` failed a while ago and aren't tried yet; one that failed for good stays in `held` at END and isn't tried again.
    """
    answering = any(state is State.AVAILABLE and version in wanted for version, state in held.items())
    leaving = [version for version, state in held.items() if version not in wanted and state is State.AVAILABLE]
    if leaving and (answering or not wanted):
        return Unload(min(leaving))
    missing = [version for version in wanted if held.get(version, State.START) is State.START and version not in resting]
    return Load(max(missing)) if missing else None
