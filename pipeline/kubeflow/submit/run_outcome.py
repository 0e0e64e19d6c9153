"""Find out what became of a run's model: released or refused.

The API tells of a run that it succeeded, which a run whose gates refused does too. Three sources are asked, the surest first; each may be
out of reach, and then there is one sentence that says why.
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
"""The parameter that names the store."""

_JUDGE = "SliceReport"  # writes the outcome into its log


@dataclass(frozen=True)
class Lookup:
    """What became of a run's model.

    Attributes:
        outcome: None where it can't be known.
        source: that told it.
        failed: why the sources that were asked before it didn't, a sentence each.
    """

    outcome: RunOutcome | None = None
    source: str = ""
    failed: tuple[str, ...] = ()


def find_outcome(client: Kubeflow, run: Any, behind: Workflow | None) -> Lookup:
    """Ask one source after the other.

    Args:
        client: of the server.
        run: that has succeeded.
        behind: its workflow, where the server hands it out.
    """
    sources: tuple[tuple[str, Callable[[], RunOutcome | str]], ...] = (
        ("the artifacts' metadata", lambda: _of_metadata(behind)),
        (f"the log of {_JUDGE}", lambda: _of_log(client, behind)),
        ("the store", lambda: _of_store(client, run)),
    )
    failed: list[str] = []
    for name, ask in sources:
        answer = ask()
        if isinstance(answer, RunOutcome):
            return Lookup(answer, name, tuple(failed))
        failed.append(f"{name}: {answer}")
    return Lookup(failed=tuple(failed))


def _of_metadata(behind: Workflow | None) -> RunOutcome | str:
    if behind is None:
        return "the server hands out no workflow of the run"
    outcomes = (read_outcome(str(metadata[PROPERTY])) for metadata in behind.inputs if PROPERTY in metadata)
    return next((outcome for outcome in outcomes if outcome), "no step of the run's workflow was given an artifact that tells it")


def _of_log(client: Kubeflow, behind: Workflow | None) -> RunOutcome | str:
    if behind is None:
        return "the server hands out no workflow of the run, and so no pod's name"
    logs = (behind.log(client, pod) for pod in reversed(behind.pods) if pod.step == _JUDGE)
    return next((outcome for log in logs if (outcome := last_outcome(log))), "it is gone, or the server doesn't hand it out")


def _of_store(client: Kubeflow, run: Any) -> RunOutcome | str:
    from components.contract.storage.object_store import Address  # Arrow is loaded where nothing else has told it
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
    """Where the run publishes: as it was told, or its schedule, or else the pipeline's default."""
    configs = [run.runtime_config]
    try:
        if run.recurring_run_id:
            configs.append(client.get_recurring_run(run.recurring_run_id).runtime_config)
    except KubeflowError:
        pass  # the schedule may be gone; runs that it started stay
    for config in configs:
        if config and (destination := (config.parameters or {}).get(PUSH_DESTINATION)):
            return str(destination)
    declared = (client.spec_of(run).get("root") or {}).get("inputDefinitions", {}).get("parameters", {})
    return str(declared.get(PUSH_DESTINATION, {}).get("defaultValue", ""))
