"""Where it is looked up what became of a run's model, source by source."""

import base64
import gzip
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from components.contract.errors import KubeflowError
from components.contract.storage.object_store import Address
from components.release.outcomes import record_outcome
from components.release.run_outcome import PROPERTY, RunOutcome
from pipeline.cli.main import main
from pipeline.kubeflow.submit.run_outcome import PUSH_DESTINATION, find_outcome
from pipeline.kubeflow.submit.workflow import _inputs, _nodes
from tests.pipeline.kubeflow import tiny_package
from tests.pipeline.kubeflow.submit.fake_api import FakeKubeflow, Script, serving


def run_of(**fields_of_run: Any) -> SimpleNamespace:
    reference = SimpleNamespace(pipeline_id="p", pipeline_version_id="v")
    fields = {"run_id": "run-1", "runtime_config": None, "recurring_run_id": None, "pipeline_spec": None}
    return SimpleNamespace(**(fields | {"pipeline_version_reference": reference} | fields_of_run))


SPEC = {"root": {"inputDefinitions": {"parameters": {"push_destination": {"defaultValue": "DEFAULT"}}}}}


class Server:
    """As much of a server as tells where a run publishes."""

    def __init__(self, schedule: str | None = None) -> None:
        self.schedule = schedule

    def run_spec(self, run: Any) -> dict[str, Any]:
        return dict(run.pipeline_spec or {})

    def get_recurring_run(self, key: str) -> SimpleNamespace:
        if self.schedule is None:
            raise KubeflowError(f"{key} not found", status=404)
        return SimpleNamespace(runtime_config=SimpleNamespace(parameters={"push_destination": self.schedule}))


@pytest.mark.parametrize("by", ["run", "schedule", "default"])
def test_the_store_that_is_asked_is_the_one_that_the_run_publishes_into(store: str, by: str) -> None:
    outcome = RunOutcome(False, None, ("a", "b"))
    record_outcome(Address.parse(store), "run-1", outcome)
    config = SimpleNamespace(parameters={"push_destination": store}) if by == "run" else SimpleNamespace(parameters=None)
    run = run_of(
        runtime_config=config,
        recurring_run_id="schedule-1" if by != "run" else None,
        pipeline_spec=json.loads(json.dumps(SPEC).replace("DEFAULT", store if by == "default" else "/elsewhere")),
    )
    lookup = find_outcome(Server(store if by == "schedule" else None), run, None)
    assert (lookup.outcome, lookup.source) == (outcome, "the store")
    assert len(lookup.failed) == 2


def test_a_store_that_cant_be_read_or_knows_nothing_of_the_run_says_so(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    record_outcome(Address.parse(store), "run-2", RunOutcome(True, 1))
    run = run_of(runtime_config=SimpleNamespace(parameters={"push_destination": store}))
    assert find_outcome(Server(), run, None).failed[-1] == f"the store: {store} has no record of the run"
    run = run_of(runtime_config=SimpleNamespace(parameters={"push_destination": "hdfs://x/y"}))
    assert find_outcome(Server(), run, None).failed[-1].startswith("the store: expected a folder, gs://BUCKET/PREFIX")
    assert find_outcome(Server(), run_of(), None).failed[-1] == "the store: the run has no parameter push_destination"


def test_the_parameter_that_names_the_store_is_the_pipelines() -> None:
    from pipeline.kubeflow.compile.parameters import PUSH_DESTINATION as DECLARED

    assert PUSH_DESTINATION == DECLARED


def test_a_workflow_above_a_megabyte_whose_nodes_argo_packs_tells_it_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inputs = {"SliceReport": {"pushed": {PROPERTY: RunOutcome(False, None, ("AUC 0.412 is below 0.500.",)).to_json()}}}
    file = tiny_package.write(tmp_path / "pipeline.yaml")
    with serving(FakeKubeflow(script=Script(tiny_package.STEPS, inputs=inputs), packs_nodes=True)) as fake:
        assert main(["submit", str(file), "--host", fake.host, "--poll", "0.001"]) == 3
    assert "AUC 0.412 is below 0.500. (source: the artifacts' metadata)" in capsys.readouterr().err


@pytest.mark.parametrize("packed", ["", "x", "AAAA", base64.b64encode(gzip.compress(b"no json", mtime=0)).decode()])
def test_nodes_that_cant_be_unpacked_are_none(packed: str) -> None:
    assert _nodes({"compressedNodes": packed}) == {}


@pytest.mark.parametrize(
    "patch",
    [
        "",
        "{}",
        "[]",
        '{"containers": [{"command": ["--executor_input"]}]}',
        '{"containers": [{"command": ["--executor_input", "x"]}]}',
        '{"containers": [{}]}',
    ],
)
def test_a_driver_that_writes_otherwise_tells_nothing_and_harms_nothing(patch: str) -> None:
    assert list(_inputs({"a": {"outputs": {"parameters": [{"name": "pod-spec-patch", "value": patch}]}}, "b": {}})) == []
