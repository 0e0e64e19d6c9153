"""The container's command in this process; the emulation runs it as one of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tfx.components  # noqa: F401 - whole, as other tests need it: only a process of its own imports less

sys.path.insert(0, str(Path(__file__).parent))  # where TFX finds the steps below, by their module's name

from pipeline.kubeflow.step.artifact_paths import ROOT
from pipeline.kubeflow.step.entrypoint import kept_schemes, main
from pipeline.kubeflow.step.known_fault import RETRY_INDEX
from pipeline.kubeflow.step.termination import write_termination_message


def run(
    tmp_path: Path,
    step: str,
    *,
    outputs: dict[str, str],
    added: dict[str, str] | None = None,
    beam: tuple[str, ...] = (),
    attempt: str = "",
    faults: Path | None = None,
    parameters: tuple[str, ...] = (),
) -> int:
    """Run a step with the outputs that it declares, and with those that a driver adds."""
    invocation = {
        "inputs": {"parameterValues": {"word": "hello"}},
        "outputs": {
            "artifacts": {
                name: {"artifacts": [{"name": name, "uri": f"minio://b/r/{step}/{name}{attempt}", "type": {"schemaTitle": title}}]}
                for name, title in {**outputs, **(added or {})}.items()
            },
            "parameters": {name: {"outputFile": str(tmp_path / name)} for name in parameters},
            "outputFile": str(tmp_path / "minio/b/r" / step / "output_metadata.json"),
        },
    }
    declared = {"parameters": {"word": {"parameterType": "STRING"}}}
    arguments = ["--executor_class_path", f"container_steps.{step}_Executor", "--json_serialized_invocation_args", json.dumps(invocation)]
    arguments += [
        "--json_serialized_inputs_spec_args",
        json.dumps(declared),
        "--step",
        step,
        "--json_serialized_output_names",
        json.dumps([*outputs]),
    ]
    return main([*arguments, *(("--faults", str(faults)) if faults else ()), *beam])


@pytest.fixture(autouse=True)
def _launcher_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ROOT, str(tmp_path))


def made(tmp_path: Path, step: str) -> dict:
    return json.loads((tmp_path / "minio/b/r" / step / "output_metadata.json").read_text())["artifacts"]


def test_a_step_may_make_its_artifact_one_file_and_give_numbers_to_the_user_interface(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "Report", outputs={"page": "system.HTML", "metrics": "system.Metrics"}) == 0
    (page,), (metrics,) = (made(tmp_path, "Report")[name]["artifacts"] for name in ("page", "metrics"))
    assert page["uri"] == "minio://b/r/Report/page/report.html"
    assert (tmp_path / "minio/b/r/Report/page/report.html").read_text() == "<p>hello</p>"
    assert metrics["uri"] == "minio://b/r/Report/metrics"
    assert {name: metrics["metadata"][name] for name in ("auc", "requests")} == {"auc": 0.75, "requests": 12.0}
    assert "nothing" not in metrics["metadata"]
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[:2] == ["[Report] ...", "[Report] wrote the page"]
    assert len(said.err.splitlines()) == 3  # Its chatter isn't shown.


def test_a_value_that_a_later_step_takes_as_a_parameter_is_told_as_one(tmp_path: Path) -> None:
    (tmp_path / "minio/b/r/Measure").mkdir(parents=True)  # as the launcher does
    values = {"reversed": "tfx.String", "length": "tfx.Integer"}
    assert run(tmp_path, "Measure", outputs=values, parameters=("reversed",)) == 0
    told = json.loads((tmp_path / "minio/b/r/Measure/output_metadata.json").read_text())
    assert told["parameterValues"] == {"reversed": "olleh"}
    assert set(told["artifacts"]) == set(values)


@pytest.mark.parametrize("attempt", ["", "-0", "-1"])
@pytest.mark.parametrize(("name", "title"), [("executor-logs", "system.Artifact"), ("executor-logs", "tfx.Model"), ("more", "system.HTML")])
def test_an_output_that_the_driver_adds_is_neither_made_nor_told_of(tmp_path: Path, name: str, title: str, attempt: str) -> None:
    written = tmp_path / f"minio/b/r/Report/{name}{attempt}"
    written.parent.mkdir(parents=True)
    written.write_text("what the launcher wrote so far\n")
    outputs = {"page": "system.HTML", "metrics": "system.Metrics"}
    assert run(tmp_path, "Report", outputs=outputs, added={name: title}, attempt=attempt) == 0
    assert written.read_text() == "what the launcher wrote so far\n"
    assert set(made(tmp_path, "Report")) == {"page", "metrics"}


def test_an_output_that_the_driver_adds_is_left_alone_where_nothing_is_there_yet(tmp_path: Path) -> None:
    outputs = {"page": "system.HTML", "metrics": "system.Metrics"}
    assert run(tmp_path, "Report", outputs=outputs, added={"executor-logs": "system.Artifact"}) == 0
    assert not (tmp_path / "minio/b/r/Report/executor-logs").exists()


@pytest.mark.parametrize(
    ("step", "code", "sentence"),
    [
        ("BadData", 2, "BadData: events.csv, line 3: expected a time, got 'x'; mend the line"),
        ("BadModel", 3, "BadModel: AUC 0.4 is below 0.5"),
        ("BadCode", 1, "BadCode failed: ZeroDivisionError: division by zero"),
    ],
)
def test_a_fault_is_told_in_a_sentence_after_the_whole_story(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], step: str, code: int, sentence: str
) -> None:
    assert run(tmp_path, step, outputs={}) == code
    said = capfd.readouterr().err
    last = [line for line in said.splitlines() if not line.startswith("The whole story is in")][-1]
    assert last == sentence
    assert "chatter of a library" in said
    assert "Traceback (most recent call last)" in said
    assert not (tmp_path / "minio/b/r" / step / "output_metadata.json").exists()
    assert not (tmp_path / "dev").exists()  # only a kubelet makes the file for it


def test_a_fault_is_left_for_the_pods_status(tmp_path: Path) -> None:
    file = tmp_path / "dev/termination-log"
    file.parent.mkdir()
    file.touch()
    assert run(tmp_path, "Report", outputs={"page": "system.HTML", "metrics": "system.Metrics"}) == 0
    assert file.read_text() == ""
    assert run(tmp_path, "BadData", outputs={}) == 2
    assert file.read_text() == "BadData: events.csv, line 3: expected a time, got 'x'; mend the line"
    assert run(tmp_path, "BadCode", outputs={}) == 1
    assert file.read_text() == "BadCode failed: ZeroDivisionError: division by zero\nThe whole story is in the step's log"


def test_a_message_for_the_pods_status_is_cut_where_the_kubelet_stops_reading(tmp_path: Path) -> None:
    file = tmp_path / "dev/termination-log"
    file.parent.mkdir()
    file.touch()
    write_termination_message("a" + "ü" * 5_000)
    assert file.read_text() == "a" + "ü" * 2_047  # 4,095 bytes: half a letter is none


def test_only_steps_whose_workers_are_dataflows_see_addresses_of_google() -> None:
    assert kept_schemes(["--runner=DataflowRunner", "--project=p"]) == ("gs://",)
    assert kept_schemes(["--runner=FnApiRunner"]) == ()
    assert kept_schemes([]) == ()


def test_a_fault_of_the_input_isnt_looked_for_again_in_the_next_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    faults, status = tmp_path / "faults", tmp_path / "dev/termination-log"
    status.parent.mkdir()
    status.touch()
    monkeypatch.setenv(RETRY_INDEX, "0")
    assert run(tmp_path, "BadData", outputs={}, faults=faults) == 2
    sentence = status.read_text()
    assert "chatter of a library" in capfd.readouterr().err
    status.write_text("")
    monkeypatch.setenv(RETRY_INDEX, "1")
    assert run(tmp_path, "BadData", outputs={}, faults=faults) == 2
    assert status.read_text() == sentence
    assert capfd.readouterr().err.splitlines() == ["[BadData] not tried again: the attempt before found this in its input", sentence]


def test_a_run_that_is_tried_again_and_any_other_fault_and_step_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = tmp_path / "faults"
    monkeypatch.setenv(RETRY_INDEX, "0")
    assert run(tmp_path, "BadData", outputs={}, faults=faults) == 2
    assert run(tmp_path, "BadCode", outputs={}, faults=faults) == 1
    assert len([*faults.iterdir()]) == 1
    monkeypatch.setenv(RETRY_INDEX, "1")
    outputs = {"page": "system.HTML", "metrics": "system.Metrics"}
    assert run(tmp_path, "Report", outputs=outputs, faults=faults) == 0
    monkeypatch.setenv(RETRY_INDEX, "0")
    monkeypatch.setattr("pipeline.kubeflow.step.entrypoint.run_executor", lambda *_: {"artifacts": {}})
    assert run(tmp_path, "BadData", outputs={}, faults=faults) == 0


def test_a_server_that_counts_no_attempts_gets_each_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RETRY_INDEX, raising=False)
    assert run(tmp_path, "BadData", outputs={}, faults=tmp_path / "faults") == 2
    assert not (tmp_path / "faults").exists()


def imported(*executors: str, beam: bool = False) -> set[str]:
    """Return the packages that a step's process has imported before its executor runs."""
    code = f"""
import sys
from pipeline.kubeflow.step.light_imports import import_tfx
import_tfx(beam={beam}, buckets=False, evaluator=False)
import pipeline.kubeflow.step.run_executor
import kfp.pipeline_spec.pipeline_spec_pb2
import tfx.orchestration.kubeflow.v2.container.kubeflow_v2_entrypoint_utils
from tfx.utils.import_utils import import_class_by_path
for path in {executors}:
    import_class_by_path(path)
print(*(name for name, module in sys.modules.items() if module is not None))
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return set(ended.stdout.split())


def test_steps_without_a_model_import_neither_tensorflow_nor_beam() -> None:
    modules = imported(
        "components.anomalies.component.AnomalyGate_Executor",
        "components.champion.component.Champion_Executor",
        "components.schema.component.ContractSchema_Executor",
        "components.release.component.Executor",
    )
    assert not modules & {"tensorflow.python", "apache_beam", "pandas", "tensorflow_model_analysis.metrics", "keras_tuner", "kfp.client"}


@pytest.mark.slow
def test_ingestion_imports_beam_and_no_tensorflow_and_the_report_tensorflow_and_no_beam() -> None:
    ingestion = imported("components.ingest.component.EventExampleGen_Executor", beam=True)
    assert "apache_beam" in ingestion
    assert not ingestion & {"tensorflow.python", "tensorflow_model_analysis.metrics"}
    report = imported("pipeline.slice_report.SliceReport_Executor")
    assert "tensorflow.python" in report
    assert not report & {"apache_beam", "lightgbm", "sklearn", "tensorflow_transform", "tensorflow_model_analysis.metrics"}


def test_a_container_without_arguments_says_which_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--runner=FnApiRunner"])
    assert ended.value.code == 2
    assert "--executor_class_path" in capsys.readouterr().err
