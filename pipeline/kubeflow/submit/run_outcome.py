"""Find out whether a run's model was released or refused.

A run whose gates refused the model succeeds too. Three sources are queried, the most reliable first; each may be
unavailable, and then a sentence gives the reason.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from components.contract.errors import KubeflowError, ShelfRankError
from components.release.run_outcome import PROPERTY, RunOutcome, last_outcome, read_outcome
from pipeline.kubeflow.submit.client import Kubeflow
from pipeline.kubeflow.submit.workflow import Workflow

PUSH_DESTINATION = "push_destination"
"""The runtime parameter with the store's address."""

OUTCOME_STEP = "SliceReport"
"""The step that prints the outcome to its log."""


@dataclass(frozen=True)
class Lookup:
    """The outcome of a run's model, with its source.

    Attributes:
        outcome: None where it is unknown.
        source: that it was read from.
        failed: for each source queried without success, a sentence with the reason.
    """

    outcome: RunOutcome | None = None
    source: str = ""
    failed: tuple[str, ...] = ()


def find_outcome(client: Kubeflow, run: Any, workflow: Workflow | None) -> Lookup:
    """Query one source after the other.

    Args:
        client: of the server.
        run: a run that has succeeded.
        workflow: of the run, where the server returns it.
    """
    sources: tuple[tuple[str, Callable[[], RunOutcome | str]], ...] = (
        ("the artifacts' metadata", lambda: _from_metadata(workflow)),
        (f"the log of {OUTCOME_STEP}", lambda: _from_log(client, workflow)),
        ("the store", lambda: _from_store(client, run)),
    )
    failed: list[str] = []
    for name, ask in sources:
        answer = ask()
        if isinstance(answer, RunOutcome):
            return Lookup(answer, name, tuple(failed))
        failed.append(f"{name}: {answer}")
    return Lookup(failed=tuple(failed))


def _from_metadata(workflow: Workflow | None) -> RunOutcome | str:
    if workflow is None:
        return "the server hands out no workflow of the run"
    outcomes = (read_outcome(str(metadata[PROPERTY])) for metadata in workflow.inputs if PROPERTY in metadata)
    return next((outcome for outcome in outcomes if outcome), "no step of the run's workflow was given an artifact that tells it")


def _from_log(client: Kubeflow, workflow: Workflow | None) -> RunOutcome | str:
    if workflow is None:
        return "the server hands out no workflow of the run, and so no pod's name"
    logs = (workflow.log(client, pod) for pod in reversed(workflow.pods) if pod.step == OUTCOME_STEP)
    return next((outcome for log in logs if (outcome := last_outcome(log))), "it is gone, or the server doesn't hand it out")


def _from_store(client: Kubeflow, run: Any) -> RunOutcome | str:
    from components.contract.storage.object_store import Address  # imports Arrow, which the other sources don't need
    from components.release.outcomes import recorded_outcome

    try:
        destination = _destination(client, run)
        if not destination:
            return f"the run has no parameter {PUSH_DESTINATION}"
        if "://" not in destination and not os.path.isdir(destination):
            return f"{destination} is a folder of the cluster's, and there is none of that name here"
        store = Address.parse(destination)
        return recorded_outcome(store, str(run.run_id)) or f"{store} has no record of the run"
    except ShelfRankError as error:
        return str(error)


def _destination(client: Kubeflow, run: Any) -> str:
    """Return the store of the run: its own parameter, its schedule's, or else the pipeline's default."""
    configs = [run.runtime_config]
    try:
        if run.recurring_run_id:
            configs.append(client.get_recurring_run(run.recurring_run_id).runtime_config)
    except KubeflowError:
        pass  # the schedule may have been removed since
    for config in configs:
        if config and (destination := (config.parameters or {}).get(PUSH_DESTINATION)):
            return str(destination)
    declared = (client.run_spec(run).get("root") or {}).get("inputDefinitions", {}).get("parameters", {})
    return str(declared.get(PUSH_DESTINATION, {}).get("defaultValue", ""))
