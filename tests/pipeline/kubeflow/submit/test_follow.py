"""Following a run: states of the steps, the two displays, Ctrl-C, and what is known when it has failed."""

import io
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from components.contract.errors import KubeflowError
from components.release.run_outcome import RunOutcome, last_outcome
from pipeline.cli.main import main
from pipeline.kubeflow.submit.client import Endpoint, connect
from pipeline.kubeflow.submit.follow import follow
from pipeline.kubeflow.submit.run_display import Lines, duration, run_display
from pipeline.kubeflow.submit.steps import Step, step_names, steps
from pipeline.kubeflow.submit.workflow import Pod, Workflow
from tests.pipeline.kubeflow import tiny_package
from tests.pipeline.kubeflow.submit.fake_api import FakeKubeflow, Script, serving

NOW = datetime(2026, 11, 28, 3, 10, tzinfo=UTC)
NOT_YET = datetime(1, 1, 1, tzinfo=UTC)


def task(name: str, state: str, start: int | None = None, end: int | None = None) -> SimpleNamespace:
    moments = [NOT_YET if second is None else NOW - timedelta(seconds=second) for second in (start, end)]
    return SimpleNamespace(display_name=name, state=state, start_time=moments[0], end_time=moments[1])


@pytest.mark.parametrize(
    ("tasks", "step"),
    [
        ([], Step("Trainer")),
        ([task("Trainer-driver", "PENDING")], Step("Trainer", "starting")),
        ([task("Trainer-driver", "SUCCEEDED", 60, 50)], Step("Trainer", "starting")),
        ([task("Trainer-driver", "FAILED", 60, 50)], Step("Trainer", "failed", 10.0)),
        ([task("Trainer-driver", "SUCCEEDED", 60, 50), task("Trainer", "RUNNING", 40)], Step("Trainer", "running", 40.0)),
        ([task("Trainer", "SUCCEEDED", 40, 10)], Step("Trainer", "done", 30.0)),
        ([task("Trainer", "FAILED", 40, 10)], Step("Trainer", "failed", 30.0)),
        ([task("Trainer", "SKIPPED", 40, 40)], Step("Trainer", "skipped")),
        ([task("Trainer", "RUNTIME_STATE_UNSPECIFIED")], Step("Trainer")),  # Argo's "Omitted": a step before it has failed
        ([task("Trainer", "RUNNING", -5)], Step("Trainer", "running", 0.0)),  # the server's clock is ahead of this one
        ([task("root", "RUNNING", 90), task("executor", "FAILED", 40, 10)], Step("Trainer")),  # tasks of the server's own
    ],
)
def test_the_state_of_a_step_out_of_the_servers_tasks(tasks: list[SimpleNamespace], step: Step) -> None:
    assert steps(("Trainer",), tasks, NOW) == (step,)


def test_the_servers_own_tasks_are_no_steps() -> None:
    tasks = [task(name, "RUNNING") for name in ("wf-1", "root", "root-driver", "Trainer-driver", "Trainer", "executor")]
    assert step_names(tasks) == ("Trainer",)


@pytest.mark.parametrize(("seconds", "said"), [(None, ""), (7.4, "7 s"), (59.6, "1 min 0 s"), (723, "12 min 3 s"), (7500, "2 h 5 min")])
def test_how_long_it_took(seconds: float | None, said: str) -> None:
    assert duration(seconds) == said


def test_elsewhere_than_on_a_terminal_there_is_a_line_for_each_change() -> None:
    out = io.StringIO()
    lines = Lines(out)
    for state in ("waiting", "running", "running", "done"):
        lines.show([Step("Trainer", state, None if state == "waiting" else 61.0)])
    lines.say("asking again: x")
    lines.say("asking again: x")
    assert out.getvalue() == "[Trainer] running\n[Trainer] done, 1 min 1 s\nasking again: x\n"


def test_on_a_terminal_all_steps_are_drawn_in_place() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    with run_display(out) as shown:
        shown.show([Step("Trainer", "running", 61.0), Step("Evaluator")])
        shown.say("asking again: x")
        shown.show([Step("Trainer", "done", 90.0), Step("Evaluator", "failed", 5.0)])
    output = out.getvalue()
    assert "▸" in output
    assert "asking again: x" in output
    last = output.rsplit("Trainer", 1)[1]
    assert "1 min 30 s" in last
    assert "✗" in last
    assert "5 s" in last
    assert "asking again" not in last


def test_what_a_step_waits_for_is_told_once_while_nothing_changes(tmp_path: Path) -> None:
    why = "Unschedulable: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
    out = io.StringIO()
    fake = FakeKubeflow(script=Script(tiny_package.STEPS, stands_at="Trainer", pending=why))
    file = tiny_package.write(tmp_path / "pipeline.yaml")
    with serving(fake):
        assert main(["submit", str(file), "--host", fake.host, "--no-follow"]) == 0
        (run_id,) = fake.runs
        with pytest.raises(KubeflowError, match="it goes on"):
            follow(connect(Endpoint(fake.host)), run_id, Lines(out), poll_s=0.001, stuck_s=0.02, timeout_s=1.0)
    lines = out.getvalue().splitlines()
    assert lines[-2:] == ["[Trainer] running", f"Trainer waits: {why}"]
    assert fake.asked.count(f"GET /apis/v1beta1/runs/{run_id}") > 1


def test_an_attempt_that_was_followed_by_a_good_one_is_no_failure() -> None:
    pods = (
        Pod("Trainer", "wf-impl-1", failed=True, message="Error (exit code 1)"),
        Pod("Trainer", "wf-impl-2", failed=False, message=""),
        Pod("Evaluator", "wf-impl-3", failed=True, message="OOMKilled (exit code 137)"),
        Pod("Evaluator", "wf-impl-4", failed=True, message="Error (exit code 2)"),
    )
    with serving(FakeKubeflow()) as fake:
        (failure,) = Workflow("run-1", "kubeflow", pods).failures(connect(Endpoint(fake.host)))
    assert (failure.step, failure.message, failure.log) == ("Evaluator", "Error (exit code 2)", ())


@pytest.mark.parametrize("told", [RunOutcome(True, 7), RunOutcome(False, None, ("a\nb", "ü"))])
def test_the_outcome_in_a_log_is_read_as_it_was_written(told: RunOutcome) -> None:
    assert "\n" not in told.line()
    assert last_outcome(f"INFO x\nI0101 {told.line()}\ntail\n") == RunOutcome(told.released, told.version, tuple(told.refusals))


@pytest.mark.parametrize("log", ["", "nothing\n", "shelfrank outcome: broken\n", 'shelfrank outcome: {"other": 1}\n'])
def test_a_log_without_an_outcome_tells_none(log: str) -> None:
    assert last_outcome(log) is None


def test_json_stands_alone_on_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tiny_package.write(tmp_path / "pipeline.yaml")
    with serving(FakeKubeflow(script=Script(tiny_package.STEPS, failing="Trainer", message="OOMKilled"))) as fake:
        assert main(["submit", str(file), "--host", fake.host, "--poll", "0.001", "--json"]) == 1
    result = json.loads(capsys.readouterr().out)
    assert (result["state"], result["released"], result["outcome_source"]) == ("FAILED", None, None)
    assert result["failures"] == [{"step": "Trainer", "message": "OOMKilled", "log": []}]
    assert {step["name"]: step["state"] for step in result["steps"]}["Evaluator"] == "waiting"


def test_nothing_but_ours_is_written_and_nothing_heavy_is_imported(tmp_path: Path) -> None:
    file = tiny_package.write(tmp_path / "pipeline.yaml")
    code = (
        "import sys; from pipeline.cli.main import main; code = main(sys.argv[1:]); import pipeline.kubeflow.submit.schedule;"
        "print({'tfx', 'tensorflow', 'apache_beam', 'ml_metadata'} & set(sys.modules), code)"
    )
    with serving(FakeKubeflow(script=Script(tiny_package.STEPS))) as fake:
        ran = subprocess.run(
            [sys.executable, "-c", code, "submit", str(file), "--host", fake.host, "--no-follow"],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
    assert ran.stderr == ""
    assert [line.split()[0] for line in ran.stdout.splitlines()] == ["pipeline", "run", "follow", "set()"]
    assert ran.stdout.endswith("set() 0\n")


def test_ctrl_c_ends_the_following_and_not_the_run(tmp_path: Path) -> None:
    file = tiny_package.write(tmp_path / "pipeline.yaml")
    with serving(FakeKubeflow(script=Script(tiny_package.STEPS, stands_at="Trainer"))) as fake:
        following = subprocess.Popen(
            [sys.executable, "-m", "pipeline.cli", "submit", str(file), "--host", fake.host, "--poll", "0.05"],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        with following:
            assert following.stderr is not None
            for line in following.stderr:
                if line == "[Trainer] running\n" or line == "[Trainer] starting\n":
                    break
            following.send_signal(signal.SIGINT)
            err = following.stderr.read()
    assert following.returncode == 130
    assert not any("terminate" in asked for asked in fake.asked)
    (run_id,) = fake.runs
    assert "the run goes on" in err
    assert f"shelfrank submit --follow {run_id} --host {fake.host}\n" in err
    assert f"shelfrank submit --terminate {run_id} --host {fake.host}\n" in err
    assert "Traceback" not in err
