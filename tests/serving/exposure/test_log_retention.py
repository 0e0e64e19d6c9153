"""The log's old files go by age, size and number; what a label needs and what somebody reads stays."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from components.contract.errors import InputError
from components.contract.load import parse_dataset
from components.contract.storage.file_lock import READING, locked_for_reading
from serving.exposure.log import ExposureLog, LogSettings
from serving.exposure.retention import LogFileInfo, Retention, files_to_remove, oldest_needed_s, remove_old
from tests.serving.service.little_shop import SHOP, dataset

NOW_S = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
HOUR_S = 3_600.0


def kept(*hours_old: float, size: int = 10) -> list[LogFileInfo]:
    return [LogFileInfo(Path(f"{hours:09.2f}"), NOW_S - hours * HOUR_S, size) for hours in hours_old]


def gone(files: list[LogFileInfo], retention: Retention, *, needed_s: float = NOW_S) -> list[float]:
    return [float(file.path.name) for file in files_to_remove(files, retention, now_s=NOW_S, needed_s=needed_s)]


def test_the_oldest_go_first_by_each_limit() -> None:
    files = kept(1, 50, 30, 20, 10)
    assert gone(files, Retention(days=1)) == [50, 30]
    assert gone(files, Retention(bytes=29)) == [50, 30, 20]
    assert gone(files, Retention(files=2)) == [50, 30, 20]
    assert gone(files, Retention(days=1, bytes=10, files=4)) == [50, 30, 20, 10]
    assert gone(files, Retention(days=3, bytes=50, files=5)) == []
    assert not Retention()


def test_nothing_that_a_label_needs_goes_whatever_the_limits() -> None:
    files = kept(1, 50, 30, 20, 10)
    assert gone(files, Retention(files=1), needed_s=NOW_S - 25 * HOUR_S) == [50, 30]
    assert gone(files, Retention(bytes=1), needed_s=NOW_S - 100 * HOUR_S) == []


def test_lists_are_needed_for_their_attribution_window_and_from_the_first_day_of_training() -> None:
    assert oldest_needed_s(dataset(), NOW_S) == NOW_S - HOUR_S - 1_800  # attribution of an hour, a session's gap of half of one
    dated = SHOP.replace("windows: {until: 2026-02-01}", "windows: {train: 2026-01-05, until: 2026-02-01}")
    assert oldest_needed_s(parse_dataset(dated), NOW_S) == datetime(2026, 1, 5, tzinfo=UTC).timestamp()
    rolling = dated.replace("2026-01-05", "60d")
    assert oldest_needed_s(parse_dataset(rolling), NOW_S) == NOW_S - 60 * 24 * HOUR_S


def write(folder: Path, kind: str, hours_old: float, *, ending: str = ".jsonl", touched_hours_ago: float | None = None) -> Path:
    opened_at_s = NOW_S - hours_old * HOUR_S
    path = folder / f"{kind}-{datetime.fromtimestamp(opened_at_s, UTC):%Y%m%dT%H%M%S}-1xab-000001{ending}"
    path.write_text('{"time": 1}\n')
    end_s = opened_at_s + 60 if touched_hours_ago is None else NOW_S - touched_hours_ago * HOUR_S
    os.utime(path, (end_s, end_s))
    return path


def removed(folder: Path, retention: Retention) -> list[str]:
    return sorted(path.name.split("-")[0] for path in remove_old(folder, retention, dataset(), now_s=NOW_S, rotate_s=300.0))


def test_files_of_all_kinds_are_cut_at_one_moment_and_others_let_be(tmp_path: Path) -> None:
    old = [write(tmp_path, kind, 48) for kind in ("decisions", "impressions", "interactions", "shadows")]
    young = [write(tmp_path, kind, 12) for kind in ("decisions", "impressions", "interactions")]
    others = [write(tmp_path, "decisions", 48, ending=".jsonl.open"), tmp_path / "x.forget"]
    others[1].write_text("{}")
    rewritten = write(tmp_path, "interactions", 47, touched_hours_ago=1)  # without a forgotten shopper: its lines are no younger for it
    assert removed(tmp_path, Retention(days=1)) == ["decisions", "impressions", "interactions", "interactions", "shadows"]
    assert not any(path.exists() for path in (*old, rewritten))
    assert all(path.exists() for path in (*young, *others))


def test_while_a_run_reads_the_folder_nothing_goes(tmp_path: Path) -> None:
    path = write(tmp_path, "impressions", 48)
    (tmp_path / READING).touch()
    with locked_for_reading([str(path), str(tmp_path / "another.jsonl"), "s3://bucket/file"]), locked_for_reading([str(path)]):
        assert removed(tmp_path, Retention(days=1)) == []
        assert path.exists()
    assert removed(tmp_path, Retention(days=1)) == ["impressions"]


def test_a_folder_that_nothing_is_removed_from_is_read_without_a_trace(tmp_path: Path) -> None:
    with locked_for_reading([str(tmp_path / "events.csv")]):
        assert list(tmp_path.iterdir()) == []


def test_a_log_removes_what_its_settings_say_and_can_be_held_from_its_start(tmp_path: Path) -> None:
    write(tmp_path, "decisions", 48)
    log = ExposureLog(dataset(), LogSettings(tmp_path, retention=Retention(days=1)))
    assert (tmp_path / READING).exists()
    assert [path.name.split("-")[0] for path in log.remove_old(now_s=NOW_S)] == ["decisions"]
    assert log.close(10)
    endless = ExposureLog(dataset(), LogSettings(tmp_path))
    write(tmp_path, "decisions", 4_800)
    assert endless.remove_old(now_s=NOW_S) == []
    assert endless.close(10)


@pytest.mark.parametrize("wrong", [{"days": -1.0}, {"bytes": -1}, {"files": -1}, {"days": float("nan")}])
def test_a_limit_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="is above 0, or 0 for no limit"):
        Retention(**wrong)  # type: ignore[arg-type]
