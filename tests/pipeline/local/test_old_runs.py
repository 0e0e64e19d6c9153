from pathlib import Path

from pipeline.local.old_runs import remove_old_runs
from pipeline.results.metadata import connection
from tests.pipeline.local.test_runner import run


def test_what_none_of_the_newest_runs_needs_is_removed_and_made_again_when_it_is_asked_for(tmp_path: Path) -> None:
    for word in ("hello", "bye", "hi"):
        run(tmp_path, word)
    removed = remove_old_runs(connection(tmp_path / "metadata.sqlite"), tmp_path / "artifacts", tmp_path / "logs", keep=2)
    assert (removed.artifacts, removed.logs) == (3, 0)
    assert removed.sentence.startswith("removed 3 artifacts and 0 logs of older runs")
    assert sorted(path.name for path in tmp_path.glob("artifacts/Say/said/*")) == ["4", "7"]
    assert [step.state for step in run(tmp_path, "bye")[0]] == ["cached"] * 3
    assert [step.state for step in run(tmp_path, "hello")[0]] == ["done"] * 3


def test_what_a_new_run_has_taken_from_the_cache_stays_though_an_old_one_made_it(tmp_path: Path) -> None:
    for word in ("hello", "bye", "hello"):
        run(tmp_path, word)
    store = connection(tmp_path / "metadata.sqlite")
    assert remove_old_runs(store, tmp_path / "artifacts", tmp_path / "logs", keep=1).artifacts == 3  # of "bye"
    assert [step.state for step in run(tmp_path, "hello")[0]] == ["cached"] * 3


def test_a_folder_that_a_kill_left_half_removed_goes_the_next_time(tmp_path: Path) -> None:
    run(tmp_path, "hello")
    half = tmp_path / "artifacts/Say/said/.publishing-removed-9"
    half.mkdir()
    store = connection(tmp_path / "metadata.sqlite")
    assert remove_old_runs(store, tmp_path / "artifacts", tmp_path / "logs", keep=1).artifacts == 0
    assert not half.exists()


def test_as_many_logs_stay_as_runs(tmp_path: Path) -> None:
    run(tmp_path, "hello")
    (tmp_path / "logs").mkdir()
    for day in (3, 1, 2):
        (tmp_path / "logs" / f"run-2026030{day}-030000.log").write_text("x" * 10)
    removed = remove_old_runs(connection(tmp_path / "metadata.sqlite"), tmp_path / "artifacts", tmp_path / "logs", keep=2)
    assert (removed.logs, removed.bytes) == (1, 10)
    assert sorted(path.name for path in tmp_path.glob("logs/*")) == ["run-20260302-030000.log", "run-20260303-030000.log"]
