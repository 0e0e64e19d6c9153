"""A cycle on Kubeflow, against its API on loopback: one run for a cycle, found again after a kill."""

from dataclasses import replace
from pathlib import Path

import pytest

from components.contract.errors import InputError, RunError
from components.drift.decision import Action, Decision
from components.release.manifest import Manifest
from components.release.publish import publish
from components.release.run_outcome import RunOutcome
from pipeline.kubeflow.compile.package import read_package
from pipeline.kubeflow.submit.client import Endpoint
from pipeline.retrain.cycle import Cycle
from pipeline.retrain.kubeflow import KubeflowTrainer, releases_of
from tests.pipeline.kubeflow import tiny_package
from tests.pipeline.kubeflow.submit.fake_api import FakeKubeflow, Script, serving
from tests.pipeline.retrain.standin import T0

START = {"training_start": tiny_package.parameter("STRING", defaultValue="", isOptional=True)}
CYCLE = Cycle(
    number=3, began=T0, triggers={}, decision=Decision(action=Action.RETRAIN_WARM, reasons=()), data_until=T0.isoformat(), parent=1
)
REFUSED = RunOutcome(False, None, ("AUC 0.412 is below 0.500.",))


def script(outcome: RunOutcome, **fields: str) -> Script:
    return Script(tiny_package.STEPS, logs={"SliceReport": outcome.line()}, **fields)


def trainer(tmp_path: Path, host: str, *assignments: str) -> KubeflowTrainer:
    package = read_package(tiny_package.write(tmp_path / "pipeline.yaml", tiny_package.documents(**START)))
    return KubeflowTrainer(
        endpoint=Endpoint(host),
        package=package,
        assignments=assignments,
        experiment="nightly",
        releases=tmp_path / "store" / "releases",
        poll_s=0.001,
    )


def released(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "saved_model.pb").write_text("x")
    manifest = Manifest(1, "shop", "", {"until": "2026-03-01"}, {"auc": 0.7}, ("Passed.",), ("x",), "c")
    publish(tmp_path / "model", tmp_path / "store" / "releases", manifest)


def test_a_cycle_is_one_run_with_its_end_of_data_and_its_start(tmp_path: Path) -> None:
    released(tmp_path)
    with serving(FakeKubeflow(script=script(RunOutcome(True, 1)))) as fake:
        training = trainer(tmp_path, fake.host, "training_steps=7").train(CYCLE)
    ((run_id, run),) = fake.runs.items()
    assert run["runtime_config"]["parameters"] == {"training_steps": 7, "training_start": "warm", "data_until": T0.isoformat()}
    assert run["display_name"] == "shop retrain-3-20260301t030000 1"
    assert (training.release, training.run, training.sentences) == (1, run_id, ("Passed.",))
    assert (training.window, training.metrics["auc"], training.processor_seconds) == ({"until": "2026-03-01"}, 0.7, None)


def test_a_run_that_a_killed_process_had_started_is_followed(tmp_path: Path) -> None:
    released(tmp_path)
    with serving(FakeKubeflow(script=script(RunOutcome(True, 1)))) as fake:
        first, again = (trainer(tmp_path, fake.host).train(CYCLE) for _ in range(2))
        assert first == again
        assert len(fake.runs) == 1
        trainer(tmp_path, fake.host).train(replace(CYCLE, failures=("the node died",), failed_at=T0))
    assert [run["display_name"][-1] for run in fake.runs.values()] == ["1", "2"]


def test_a_refused_model_is_told_with_the_gates_sentences(tmp_path: Path) -> None:
    with serving(FakeKubeflow(script=script(REFUSED))) as fake:
        training = trainer(tmp_path, fake.host).train(replace(CYCLE, data_until=""))
    assert (training.release, training.sentences) == (None, REFUSED.refusals)
    (run,) = fake.runs.values()
    assert run["runtime_config"]["parameters"] == {"training_start": "warm"}


def test_a_run_that_fails_is_a_failed_training(tmp_path: Path) -> None:
    with (
        serving(FakeKubeflow(script=script(REFUSED, failing="Trainer", message="OOMKilled"))) as fake,
        pytest.raises(RunError, match="Trainer failed: OOMKilled"),
    ):
        trainer(tmp_path, fake.host).train(CYCLE)


def test_releases_that_arent_where_they_are_looked_for_say_how_to_name_them(tmp_path: Path) -> None:
    with (
        serving(FakeKubeflow(script=script(RunOutcome(True, 1)))) as fake,
        pytest.raises(InputError, match="--releases names the store's releases"),
    ):
        trainer(tmp_path, fake.host).train(CYCLE)


def test_a_pipeline_compiled_before_there_was_a_start_is_refused(tmp_path: Path) -> None:
    package = read_package(tiny_package.write(tmp_path / "old.yaml"))
    with pytest.raises(InputError, match=r"old.yaml: expected a pipeline with the parameter training_start; compile it again"):
        KubeflowTrainer(endpoint=Endpoint("x"), package=package, assignments=(), experiment="e", releases=tmp_path)


def test_the_store_is_that_of_the_run_or_the_pipelines(tmp_path: Path) -> None:
    package = read_package(tiny_package.write(tmp_path / "pipeline.yaml"))
    assert releases_of(package, ()) == "/shelfrank/releases"
    assert releases_of(package, ("push_destination=s3://b/shop/",)) == "s3://b/shop/releases"
