import io
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from components.contract.errors import InputError, RunError
from pipeline.results.metadata import clean_up_interrupted, connection, relocate_artifacts
from pipeline.terminal.display import display


def run(root: Path, word: str):
    import tiny_pipeline

    out = io.StringIO()
    with display(out) as progress:
        return tiny_pipeline.run_tiny(root, word, progress=progress), out.getvalue()


def start(root: Path, pause_s: float, word: str = "hi") -> subprocess.Popen[bytes]:
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    code = "import tiny_pipeline; tiny_pipeline.main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, str(root), word, str(pause_s)],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_a_run_gives_every_steps_outputs_and_a_second_one_takes_them_from_the_cache(tmp_path: Path) -> None:
    first, output = run(tmp_path, "hello")
    assert [(step.name, step.state) for step in first] == [("Say", "done"), ("Double", "done"), ("Count", "done")]
    assert Path(first[2].outputs["counted"].uri, "count").read_text() == "10"
    assert first[1].outputs["doubled"].properties["length"] == 10
    assert "[Say] said hello" in output
    again, _ = run(tmp_path, "hello")
    assert [step.state for step in again] == ["cached"] * 3
    assert [step.outputs for step in again] == [step.outputs for step in first]
    other, _ = run(tmp_path, "bye")
    assert [step.state for step in other] == ["done"] * 3
    assert Path(other[2].outputs["counted"].uri, "count").read_text() == "6"


def test_a_copied_folder_takes_nothing_from_the_one_that_it_was_copied_from(tmp_path: Path) -> None:
    run(tmp_path / "one", "hello")
    shutil.copytree(tmp_path / "one", tmp_path / "other")
    store = connection(tmp_path / "other" / "metadata.sqlite")
    assert relocate_artifacts(store, tmp_path / "other" / "artifacts") == 3
    assert relocate_artifacts(store, tmp_path / "other" / "artifacts") == 0
    again, _ = run(tmp_path / "other", "hello")
    assert again[0].state == "cached"
    assert all(Path(output.uri).is_relative_to(tmp_path / "other") for step in again for output in step.outputs.values())


def test_an_output_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    first, _ = run(tmp_path, "hello")
    shutil.rmtree(first[1].outputs["doubled"].uri)
    again, _ = run(tmp_path, "hello")
    assert [step.state for step in again] == ["cached", "done", "done"]


def test_a_fault_of_the_data_is_an_input_error_that_names_the_step(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^Double: words\.txt, line 1: expected a good word, got 'bad'$"):
        run(tmp_path, "bad")


def test_a_failed_step_is_a_run_error_with_step_cause_and_log_and_is_tried_again(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(RunError, match=rf"^Double failed: ZeroDivisionError: division by zero\nThe whole story is in {tmp_path}/log$"):
            run(tmp_path, "broken")


def test_sweeping_removes_only_what_a_killed_run_left(tmp_path: Path) -> None:
    finished, _ = run(tmp_path, "hello")
    process = start(tmp_path, pause_s=60, word="other")
    half = tmp_path / "artifacts" / "Say" / "said" / "4" / "half"
    _wait_for(half.exists)
    process.kill()
    process.wait()
    store = connection(tmp_path / "metadata.sqlite")
    assert clean_up_interrupted(store, tmp_path / "artifacts") == 1
    assert not half.parent.exists()
    assert not [*(tmp_path / "artifacts").glob("*/.system/stateful_working_dir/*")]
    assert all(Path(output.uri).exists() for step in finished for output in step.outputs.values())
    assert clean_up_interrupted(store, tmp_path / "artifacts") == 0


@pytest.mark.slow
@pytest.mark.parametrize("after_s", [0.05, 0.2, 0.5, 1.2, 1.6, 2.6])
def test_a_run_killed_at_any_moment_finishes_when_started_again(tmp_path: Path, after_s: float) -> None:
    process = start(tmp_path, pause_s=1)
    _wait_for((tmp_path / "metadata.sqlite").exists)
    time.sleep(after_s)
    process.send_signal(signal.SIGKILL)
    process.wait()
    steps, _ = run(tmp_path, "hi")
    assert Path(steps[2].outputs["counted"].uri, "count").read_text() == "4"


def _wait_for(condition) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)
