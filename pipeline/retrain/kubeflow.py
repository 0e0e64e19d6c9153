"""Train on Kubeflow: submit a run of a compiled pipeline for a cycle, once, and wait for what became of its model."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.contract.errors import InputError, RunError, ShelfRankError, UnknownOutcome
from components.contract.storage.object_store import Address
from components.contract.storage.store_layout import RELEASES
from components.release.manifest import read_manifest
from pipeline.kubeflow.compile.package import Package
from pipeline.kubeflow.compile.parameters import DATA_UNTIL, PUSH_DESTINATION, TRAINING_START
from pipeline.kubeflow.submit.client import Endpoint, Kubeflow, connect
from pipeline.kubeflow.submit.follow import follow
from pipeline.kubeflow.submit.run_display import run_display
from pipeline.kubeflow.submit.submit import failure_text, start
from pipeline.kubeflow.submit.upload import get_or_create_experiment, upload
from pipeline.retrain.cycle import Cycle
from pipeline.retrain.training import Training


@dataclass(frozen=True, kw_only=True)
class KubeflowTrainer:
    """Runs a compiled pipeline on a cluster.

    A run has the name of its cycle, by which it is found again after a kill: then it is followed, and no second one is
    started.

    Attributes:
        endpoint: the server.
        package: the compiled pipeline.
        assignments: further parameters, each NAME=VALUE.
        experiment: to run in.
        releases: of the store that the pipeline publishes to.
        poll_s: seconds between two looks at the run.
    """

    endpoint: Endpoint
    package: Package
    assignments: Sequence[str]
    experiment: str
    releases: Address | Path
    poll_s: float = 5.0

    def __post_init__(self) -> None:
        missing = [each for each in (DATA_UNTIL, TRAINING_START) if each not in self.package.kinds]
        if missing:
            raise InputError(
                f"{self.package.file}: expected a pipeline with the parameter {missing[0]}; compile it again with `shelfrank compile`"
            )

    def train(self, cycle: Cycle) -> Training:
        """See `pipeline.retrain.training.Trainer`."""
        own = [f"{TRAINING_START}={cycle.start}", *([f"{DATA_UNTIL}={cycle.data_until}"] if cycle.data_until else [])]
        parameters = self.package.parameters([*self.assignments, *own])
        client, name = connect(self.endpoint), f"{self.package.name} {cycle.run_id} {len(cycle.failures) + 1}"
        run_id = find_run(client, name) or self._submitted(client, name, parameters)
        print(f"run       {self.endpoint.page('runs', run_id)}", file=sys.stderr, flush=True)
        with run_display(sys.stderr) as display:
            end = follow(client, run_id, display, names=self.package.steps, poll_s=self.poll_s)
        if not end.succeeded:
            raise RunError(failure_text(end))
        outcome = end.lookup.outcome
        if outcome is None:
            raise UnknownOutcome(f"run {run_id} succeeded, but whether it released its model can't be known: {' '.join(end.lookup.failed)}")
        if not outcome.released or outcome.version is None:
            return Training(release=None, sentences=tuple(outcome.refusals), run=run_id)
        return self._released(outcome.version, run_id)

    def _submitted(self, client: Kubeflow, name: str, parameters: dict[str, Any]) -> str:
        uploaded = upload(client, self.package)
        return start(
            client,
            uploaded,
            experiment_id=get_or_create_experiment(client, self.experiment),
            name=name,
            parameters=parameters,
            pipeline_root=self.package.pipeline_root,
        )

    def _released(self, version: int, run_id: str) -> Training:
        try:
            manifest = read_manifest(Address.parse(self.releases) / str(version))
        except ShelfRankError as error:
            raise InputError(f"{error}; --releases names the store's releases as this machine sees them") from None
        metrics = {name: manifest.metrics.get(name) for name in ("auc", "ndcg_at_10")}
        return Training(release=version, sentences=manifest.verdict, window=manifest.data_window, metrics=metrics, run=run_id)


def find_run(client: Kubeflow, name: str) -> str | None:
    """Return the id of the run of that name, None where there is none."""
    by_name = {"operation": 1, "key": "display_name", "stringValue": name}  # 1: equals
    listed = client.list_runs(namespace=client.get_user_namespace() or None, filter=json.dumps({"predicates": [by_name]}))
    return next((str(run.run_id) for run in listed.runs or ()), None)


def releases_of(package: Package, assignments: Sequence[str]) -> str:
    """Return the address of the releases that a run of the pipeline publishes to.

    Raises:
        InputError: the pipeline doesn't say.
    """
    store = package.parameters(assignments).get(PUSH_DESTINATION) or package.defaults.get(PUSH_DESTINATION)
    if not store:
        raise InputError(f"{package.file}: expected a parameter {PUSH_DESTINATION} with a default; give --releases")
    return f"{str(store).rstrip('/')}/{RELEASES}"
