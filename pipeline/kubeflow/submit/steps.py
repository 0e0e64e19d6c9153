"""Where the steps of a run are, out of what the API tells of its tasks."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

State = Literal["waiting", "starting", "running", "done", "skipped", "failed", "cancelled"]

FINISHED = ("SUCCEEDED", "SKIPPED", "FAILED", "CANCELED")
"""States of a run that it doesn't leave."""

_STATES: dict[str, State] = {
    "PENDING": "starting",
    "RUNNING": "running",
    "PAUSED": "waiting",
    "SUCCEEDED": "done",
    "SKIPPED": "skipped",
    "FAILED": "failed",
    "CANCELING": "cancelled",
    "CANCELED": "cancelled",
}
_DRIVER = "-driver"  # the task that the server puts before each of ours


@dataclass(frozen=True)
class Step:
    """A step of a run: its state, and seconds since it started or that it took; None before it starts."""

    name: str
    state: State = "waiting"
    seconds: float | None = None

    def shown(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def steps(names: Sequence[str], tasks: Iterable[Any], now: datetime) -> tuple[Step, ...]:
    """A step for each name, in the same order.

    Args:
        names: of the pipeline's own steps. The server has two tasks for each, and a few of its own.
        tasks: `run_details.task_details` of the run.
        now: by which a running step has run so long.
    """
    told = {str(task.display_name): task for task in tasks}
    return tuple(_step(name, told.get(name), told.get(name + _DRIVER), now) for name in names)


def names_of(tasks: Iterable[Any]) -> tuple[str, ...]:
    """Steps by what the server has begun, where the pipeline itself can't be had."""
    told = [str(task.display_name) for task in tasks]
    return tuple(name.removesuffix(_DRIVER) for name in told if name.endswith(_DRIVER) and name != "root" + _DRIVER)


def _step(name: str, task: Any, driver: Any, now: datetime) -> Step:
    state = _STATES.get(task.state) if task else None
    before = _STATES.get(driver.state) if driver else None
    if state is None:
        # The container can't start before its driver has ended.
        if before in ("failed", "cancelled"):
            return Step(name, before, _seconds(driver, now))
        return Step(name, "starting" if before else "waiting")
    return Step(name, state, _seconds(task, now) if state != "skipped" else None)


def _seconds(task: Any, now: datetime) -> float | None:
    start, end = _moment(task.start_time), _moment(task.end_time)
    return None if start is None else max(0.0, ((end or now) - start).total_seconds())


def _moment(told: datetime | None) -> datetime | None:
    """The server's way to say "not yet" is the year 1."""
    if told is None or told.year <= 1970:
        return None
    return told if told.tzinfo else told.replace(tzinfo=UTC)
