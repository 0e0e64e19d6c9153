"""Read and write `outcomes/RUN_ID.json` of a store: whether each run on a cluster released its model, or why not.

A run that released nothing leaves no other record in the store.
"""

import re
from datetime import datetime

from components.contract.errors import InputError
from components.contract.storage.object_store import Address
from components.contract.storage.store_layout import OUTCOMES
from components.release.run_outcome import RunOutcome, read_outcome

_RUN_ID = re.compile(r"[A-Za-z0-9][\w.-]*")


def record_outcome(store: Address, run_id: str, outcome: RunOutcome) -> None:
    """Write a run's outcome; a retried step writes it again.

    Args:
        store: the store that the run publishes to.
        run_id: Kubeflow's.
        outcome: of the run.

    Raises:
        ShelfRankError: the store can't be written.
    """
    folder = store / OUTCOMES
    if folder.local is not None:
        folder.local.mkdir(parents=True, exist_ok=True)
    _file(folder, run_id).write((outcome.to_json() + "\n").encode())


def recorded_outcome(store: Address, run_id: str) -> RunOutcome | None:
    """Read a run's outcome; None where the store has no record of the run.

    Raises:
        ShelfRankError: the store can't be read.
    """
    content = _file(store / OUTCOMES, run_id).read()
    return None if content is None else read_outcome(content.decode("utf-8", "replace"))


def recorded_runs(store: Address) -> list[tuple[str, datetime, RunOutcome]]:
    """List the runs that the store has an outcome of, the newest first: Kubeflow's id, when it was recorded, the outcome.

    Raises:
        ShelfRankError: the store can't be read.
    """
    folder = store / OUTCOMES
    runs = []
    for name, recorded in folder.files().items():
        outcome = recorded_outcome(store, name.removesuffix(".json")) if name.endswith(".json") else None
        if outcome is not None:
            runs.append((name.removesuffix(".json"), recorded, outcome))
    return sorted(runs, key=lambda run: run[1], reverse=True)


def _file(folder: Address, run_id: str) -> Address:
    if not _RUN_ID.fullmatch(run_id):
        raise InputError(f"expected a run's id of letters, digits, hyphens and dots, got {run_id!r}")
    return folder / f"{run_id}.json"
