"""A cycle on Kubeflow, against its API on loopback: one run for a cycle, found again after a kill."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from components.contract.errors import InputError, RunError
from components.drift.decision import Action, Decision, Reason
from components.release.labels import read_labels
from components.release.manifest import Manifest
from components.release.publish import publish
from components.release.run_outcome import RunOutcome
from pipeline.cli.main import main
from pipeline.kubeflow.compile.package import read_package
from pipeline.kubeflow.submit.client import Endpoint
from pipeline.ops.releases import Deployment, promote
from pipeline.retrain.cycle import Cycle
from pipeline.retrain.kubeflow import KubeflowTrainer, releases_of
from tests.bare_dataset import BARE
from tests.pipeline.kubeflow import tiny_package
from tests.pipeline.kubeflow.submit.fake_api import FakeKubeflow, Script, serving
from tests.pipeline.retrain.standin import T0, drift_report

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


def released(tmp_path: Path, content: str = "x") -> None:
    (tmp_path / "model").mkdir(exist_ok=True)
    (tmp_path / "model" / "saved_model.pb").write_text(content)
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


def test_the_command_submits_the_run_promotes_its_release_and_remembers_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    releases = tmp_path / "store" / "releases"
    released(tmp_path)
    promote(Deployment(releases), 1, "stable")
    released(tmp_path, "y")  # what the run publishes
    file = tiny_package.write(tmp_path / "pipeline.yaml", tiny_package.documents(**START))
    (tmp_path / "shop.yaml").write_text(BARE)
    where = ["--kubeflow", str(file), "--parameter", f"push_destination={tmp_path / 'store'}", "--poll", "0.001"]
    with serving(FakeKubeflow(script=script(RunOutcome(True, 2)))) as fake:
        root = ["--root", str(tmp_path / "runs"), "--host", fake.host]
        reason = Reason(action=Action.RETRAIN_WARM, kind="taste", subject="category", text="Tastes have changed.")
        drift_report(tmp_path / "drift.json", reason)
        options = ["--once", "--drift", str(tmp_path / "drift.json"), "--json"]
        assert main(["retrain", str(tmp_path / "shop.yaml"), *root, *where, *options]) == 0
    cycle = json.loads(capsys.readouterr().out)
    ((run_id, run),) = fake.runs.items()
    assert run["runtime_config"]["parameters"]["training_start"] == "warm"
    assert (cycle["outcome"], cycle["run"], cycle["release"]) == ("promoted", run_id, 2)
    labels = read_labels(releases)
    assert labels is not None
    assert labels.now == {"previous": 1, "stable": 2}
    assert main(["history", "--root", str(tmp_path / "runs")]) == 0
    assert "Tastes have changed." in capsys.readouterr().out


def test_the_store_is_that_of_the_run_or_the_pipelines(tmp_path: Path) -> None:
    package = read_package(tiny_package.write(tmp_path / "pipeline.yaml"))
    assert releases_of(package, ()) == "/shelfrank/releases"
    assert releases_of(package, ("push_destination=s3://b/shop/",)) == "s3://b/shop/releases"
