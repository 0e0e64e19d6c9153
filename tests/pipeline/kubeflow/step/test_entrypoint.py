"""The container's command in this process; the emulation runs it as one of its own."""

import inspect
import json
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # where TFX finds the steps below, by their module's name

from pipeline.kubeflow.step.artifact_paths import ROOT
from pipeline.kubeflow.step.entrypoint import main, step_name
from pipeline.kubeflow.step.termination import write_termination_message

ADVICE = (
    "TFX is another than the one that pipeline/kubeflow/step/entrypoint.py was written for. Compare its"
    " kubeflow_v2_run_executor.py with that of TFX 1.21: what `_run_executor` takes, what it reads of ExecutorInput and writes"
    " into ExecutorOutput. Change entrypoint.py and invocation.py to fit, run tests/pipeline/kubeflow with the slow tests, and"
    " then change the version in this test."
)


def test_tfx_has_the_private_function_that_the_entrypoint_calls() -> None:
    from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor as container

    assert version("tfx").startswith("1.21."), ADVICE
    assert list(inspect.signature(container._run_executor).parameters) == ["args", "beam_args"], ADVICE
    source = inspect.getsource(container._run_executor)
    for read in ("args.executor_class_path", "args.json_serialized_invocation_args", "args.json_serialized_inputs_spec_args"):
        assert read in source, ADVICE
    assert source.count("args.") - source.count("beam_args.") == 5, ADVICE  # It reads nothing else of them.
    assert "fileio.open(metadata_uri, 'wb')" in source, ADVICE


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("components.ingest.component.EventExampleGen_Executor", "EventExampleGen"),
        ("components.statistics_gen.component.Executor", "StatisticsGen"),
        ("tfx.components.trainer.executor.GenericExecutor", "Trainer"),
        ("components.release.component.Executor", "Release"),
        ("steps.Say_Executor", "Say"),
    ],
)
def test_a_step_is_called_as_in_the_graph(path: str, name: str) -> None:
    assert step_name(path) == name


def run(
    tmp_path: Path,
    step: str,
    *,
    outputs: dict[str, str],
    added: dict[str, str] | None = None,
    beam: tuple[str, ...] = (),
    attempt: str = "",
) -> int:
    """Run a step with the outputs that it declares, and with those that a driver adds."""
    invocation = {
        "inputs": {"parameterValues": {"word": "hello"}},
        "outputs": {
            "artifacts": {
                name: {"artifacts": [{"name": name, "uri": f"minio://b/r/{step}/{name}{attempt}", "type": {"schemaTitle": title}}]}
                for name, title in {**outputs, **(added or {})}.items()
            },
            "outputFile": str(tmp_path / "minio/b/r" / step / "output_metadata.json"),
        },
    }
    declared = {"parameters": {"word": {"parameterType": "STRING"}}}
    arguments = ["--executor_class_path", f"container_steps.{step}_Executor", "--json_serialized_invocation_args", json.dumps(invocation)]
    arguments += ["--json_serialized_inputs_spec_args", json.dumps(declared), "--json_serialized_output_names", json.dumps([*outputs])]
    return main([*arguments, *beam])


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


@pytest.mark.parametrize(
    ("step", "runner", "kept"),
    [("Where", "DataflowRunner", False), ("WhereBeam", "DataflowRunner", True), ("WhereBeam", "FnApiRunner", False)],
)
def test_only_steps_whose_workers_are_dataflows_see_addresses_of_google(tmp_path: Path, step: str, runner: str, kept: bool) -> None:
    from pipeline.kubeflow.step.entrypoint import _kept_schemes

    assert _kept_schemes(f"container_steps.{step}_Executor", [f"--runner={runner}"]) == (("gs://",) if kept else ())


def test_a_container_without_arguments_says_which_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--runner=FnApiRunner"])
    assert ended.value.code == 2
    assert "--executor_class_path" in capsys.readouterr().err
