"""Follows a run to its end, and tells what became of it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from components.contract.errors import KubeflowError
from pipeline.kubeflow.compile.package import ordered
from pipeline.kubeflow.submit.client import Kubeflow
from pipeline.kubeflow.submit.run_display import Board
from pipeline.kubeflow.submit.run_outcome import Lookup, find_outcome
from pipeline.kubeflow.submit.steps import FINISHED, Step, names_of, steps
from pipeline.kubeflow.submit.workflow import Failure, workflow

PATIENCE = 60
"""So many questions in a row may go without an answer while a run is followed: a server that restarts isn't a run that failed."""


@dataclass(frozen=True)
class End:
    """A run that has ended.

    Attributes:
        run_id: of the run.
        url: of its page in the UI.
        state: of the run, `SUCCEEDED`, `FAILED`, `CANCELED`, `SKIPPED`.
        steps: each with its state.
        failures: why, where it is known.
        lookup: what became of its model, of a run that succeeded.
    """

    run_id: str
    url: str
    state: str
    steps: tuple[Step, ...]
    failures: tuple[Failure, ...] = ()
    lookup: Lookup = field(default_factory=Lookup)

    @property
    def succeeded(self) -> bool:
        """Whether every step did its work; the model may have been refused."""
        return self.state == "SUCCEEDED"

    def shown(self) -> dict[str, Any]:
        """For JSON."""
        outcome = self.lookup.outcome
        return {
            "run_id": self.run_id,
            "url": self.url,
            "state": self.state,
            "released": outcome.released if outcome else None,
            "version": outcome.version if outcome else None,
            "refusals": list(outcome.refusals) if outcome else [],
            "outcome_source": self.lookup.source or None,
            "steps": [step.shown() for step in self.steps],
            "failures": [failure.shown() for failure in self.failures],
        }


def follow(
    client: Kubeflow,
    run_id: str,
    board: Board,
    *,
    names: tuple[str, ...] = (),
    poll_s: float = 5.0,
    timeout_s: float | None = None,
    stuck_s: float = 60.0,
    clock: Callable[[], float] = time.monotonic,
) -> End:
    """Show a run on `board` until it has ended.

    Args:
        client: of the server.
        run_id: of the run.
        board: told of each state of the steps.
        names: of the steps, each after those that it waits for; else the server is asked for them.
        poll_s: between two questions.
        timeout_s: after so long it is given up to follow, while the run goes on; None: never.
        stuck_s: after so long in which no step changed its state, and each such time again, it is looked whether a container can't start.
        clock: in seconds.

    Raises:
        KubeflowError: there is no such run, the server answers no more, or the time is over.
    """
    silent, began = 0, clock()
    states: tuple[str, ...] = ()
    changed = began
    while True:
        try:
            run = client.get_run(run_id)
            names = names or _names(client, run)
        except KubeflowError as error:
            silent += 1
            if silent >= PATIENCE or error.status in (401, 403, 404) or not names:
                raise
            board.say(f"asking again: {error}")
        else:
            silent = 0
            tasks = (run.run_details.task_details if run.run_details else None) or []
            now = steps(names or names_of(tasks), tasks, datetime.now(UTC))
            board.show(now)
            if run.state in FINISHED:
                return _end(client, run, now)
            if states != (states := tuple(step.state for step in now)):
                changed = clock()
            elif clock() - changed >= stuck_s:
                changed = clock()
                behind = workflow(client, run_id, [step.name for step in now])
                if behind and behind.waits:
                    board.say(behind.waits)
        if timeout_s is not None and clock() - began >= timeout_s:
            raise KubeflowError(f"run {run_id} hasn't ended within {timeout_s:g} s; it goes on")
        time.sleep(poll_s)


def _end(client: Kubeflow, run: Any, now: Sequence[Step]) -> End:
    behind = workflow(client, run.run_id, [step.name for step in now])
    failures: tuple[Failure, ...] = ()
    if run.state == "FAILED":
        failures = _told(run) or (behind.failures(client) if behind else ()) or _unexplained(now)
    # A run that is terminated ends as FAILED; that it was on purpose stands in its history.
    cancelled = run.state == "FAILED" and any(each.state == "CANCELING" for each in run.state_history or ())
    return End(
        run_id=run.run_id,
        url=client.place.page("runs", run.run_id),
        state="CANCELED" if cancelled else str(run.state),
        steps=tuple(now),
        failures=() if cancelled else failures,
        lookup=find_outcome(client, run, behind) if run.state == "SUCCEEDED" else Lookup(),
    )


def _told(run: Any) -> tuple[Failure, ...]:
    """What the fields for it say, should a server come to fill them."""
    tasks = (run.run_details.task_details if run.run_details else None) or []
    said = [Failure(str(task.display_name), str(task.error.message)) for task in tasks if task.error and task.error.message]
    if run.error and run.error.message:
        said.append(Failure("", str(run.error.message)))
    return tuple(said)


def _unexplained(now: Sequence[Step]) -> tuple[Failure, ...]:
    why = "this server doesn't say why; the log is in the UI"
    return tuple(Failure(step.name, why) for step in now if step.state == "failed")


def _names(client: Kubeflow, run: Any) -> tuple[str, ...]:
    """The steps of a run's pipeline, each after those that it waits for."""
    return ordered((client.spec_of(run).get("root") or {}).get("dag", {}).get("tasks", {}))
