"""Derive the state of each step of a run from the API's tasks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

State = Literal["waiting", "starting", "running", "done", "skipped", "failed", "cancelled"]

FINISHED = ("SUCCEEDED", "SKIPPED", "FAILED", "CANCELED")
"""Final states of a run."""

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
_DRIVER = "-driver"  # the task that the server runs before each step's own


@dataclass(frozen=True)
class Step:
    """A step of a run: its state, and seconds since its start or until its end; None before it starts."""

    name: str
    state: State = "waiting"
    seconds: float | None = None


def steps(names: Sequence[str], tasks: Iterable[Any], now: datetime) -> tuple[Step, ...]:
    """Return a step for each name, in the same order.

    Args:
        names: of the pipeline's steps. The server has two tasks for each, and a few of its own.
        tasks: `run_details.task_details` of the run.
        now: end of a running step's time so far.
    """
    tasks_by_name = {str(task.display_name): task for task in tasks}
    return tuple(_step(name, tasks_by_name.get(name), tasks_by_name.get(name + _DRIVER), now) for name in names)


def step_names(tasks: Iterable[Any]) -> tuple[str, ...]:
    """Return the names of the steps that have started, where the pipeline's spec isn't available."""
    names = [str(task.display_name) for task in tasks]
    return tuple(name.removesuffix(_DRIVER) for name in names if name.endswith(_DRIVER) and name != "root" + _DRIVER)


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


def _moment(time: datetime | None) -> datetime | None:
    """Return the time in UTC, None if it isn't set: the server's placeholder is the year 1."""
    if time is None or time.year <= 1970:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
