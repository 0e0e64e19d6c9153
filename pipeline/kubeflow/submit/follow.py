"""Follow a run to its end, and collect its outcome."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from components.contract.errors import KubeflowError
from pipeline.kubeflow.compile.package import topological_order
from pipeline.kubeflow.submit.client import Kubeflow
from pipeline.kubeflow.submit.run_display import RunDisplay
from pipeline.kubeflow.submit.run_outcome import Lookup, find_outcome
from pipeline.kubeflow.submit.steps import FINISHED, Step, step_names, steps
from pipeline.kubeflow.submit.workflow import Failure, read_workflow

MAX_FAILED_POLLS = 60
"""Consecutive polls that may fail while a run is followed: a restarting server isn't a failed run."""


@dataclass(frozen=True)
class EndedRun:
    """A run that has ended.

    Attributes:
        run_id: of the run.
        url: of its page in the UI.
        state: `SUCCEEDED`, `FAILED`, `CANCELED` or `SKIPPED`.
        steps: each with its state.
        failures: of a run that failed, with their reasons where known.
        lookup: of a run that succeeded, whether its model was released.
    """

    run_id: str
    url: str
    state: str
    steps: tuple[Step, ...]
    failures: tuple[Failure, ...] = ()
    lookup: Lookup = field(default_factory=Lookup)

    @property
    def succeeded(self) -> bool:
        """Whether every step succeeded; the model may have been refused."""
        return self.state == "SUCCEEDED"

    def shown(self) -> dict[str, Any]:
        """Return the document for JSON."""
        outcome = self.lookup.outcome
        return {
            "run_id": self.run_id,
            "url": self.url,
            "state": self.state,
            "released": outcome.released if outcome else None,
            "version": outcome.version if outcome else None,
            "refusals": list(outcome.refusals) if outcome else [],
            "outcome_source": self.lookup.source or None,
            "steps": [asdict(step) for step in self.steps],
            "failures": [asdict(failure) for failure in self.failures],
        }


def follow(
    client: Kubeflow,
    run_id: str,
    display: RunDisplay,
    *,
    names: tuple[str, ...] = (),
    poll_s: float = 5.0,
    timeout_s: float | None = None,
    stuck_s: float = 60.0,
    clock: Callable[[], float] = time.monotonic,
) -> EndedRun:
    """Display a run until it has ended.

    Args:
        client: of the server.
        run_id: of the run.
        display: receives the steps' states.
        names: of the steps, in topological order; empty: read from the server.
        poll_s: seconds between two polls.
        timeout_s: stop following after so long, while the run goes on; None: never.
        stuck_s: after so long without a change of a step's state, and again after each such time, check whether a
            container can't start.
        clock: in seconds.

    Raises:
        KubeflowError: there is no such run, the server stops responding, or the time is over.
    """
    silent, began = 0, clock()
    states: tuple[str, ...] = ()
    changed = began
    while True:
        try:
            run = client.get_run(run_id)
            names = names or _pipeline_steps(client, run)
        except KubeflowError as error:
            silent += 1
            if silent >= MAX_FAILED_POLLS or error.status in (401, 403, 404) or not names:
                raise
            display.say(f"asking again: {error}")
        else:
            silent = 0
            tasks = (run.run_details.task_details if run.run_details else None) or []
            now = steps(names or step_names(tasks), tasks, datetime.now(UTC))
            display.show(now)
            if run.state in FINISHED:
                return _end(client, run, now)
            if states != (states := tuple(step.state for step in now)):
                changed = clock()
            elif clock() - changed >= stuck_s:
                changed = clock()
                workflow = read_workflow(client, run_id, [step.name for step in now])
                if workflow and workflow.waits:
                    display.say(workflow.waits)
        if timeout_s is not None and clock() - began >= timeout_s:
            raise KubeflowError(f"run {run_id} hasn't ended within {timeout_s:g} s; it goes on")
        time.sleep(poll_s)


def _end(client: Kubeflow, run: Any, now: Sequence[Step]) -> EndedRun:
    workflow = read_workflow(client, run.run_id, [step.name for step in now])
    failures: tuple[Failure, ...] = ()
    if run.state == "FAILED":
        unexplained = (Failure(step.name, "this server doesn't say why; the log is in the UI") for step in now if step.state == "failed")
        failures = _reported_failures(run) or (workflow.failures(client) if workflow else ()) or tuple(unexplained)
    # A terminated run ends as FAILED; its history has the cancellation.
    cancelled = run.state == "FAILED" and any(each.state == "CANCELING" for each in run.state_history or ())
    return EndedRun(
        run_id=run.run_id,
        url=client.endpoint.page("runs", run.run_id),
        state="CANCELED" if cancelled else str(run.state),
        steps=tuple(now),
        failures=() if cancelled else failures,
        lookup=find_outcome(client, run, workflow) if run.state == "SUCCEEDED" else Lookup(),
    )


def _reported_failures(run: Any) -> tuple[Failure, ...]:
    """Return the failures in the API's error fields, which current servers leave empty."""
    tasks = (run.run_details.task_details if run.run_details else None) or []
    failures = [Failure(str(task.display_name), str(task.error.message)) for task in tasks if task.error and task.error.message]
    if run.error and run.error.message:
        failures.append(Failure("", str(run.error.message)))
    return tuple(failures)


def _pipeline_steps(client: Kubeflow, run: Any) -> tuple[str, ...]:
    """Return the steps of a run's pipeline, in topological order."""
    return topological_order((client.run_spec(run).get("root") or {}).get("dag", {}).get("tasks", {}))
