"""A partition's log goes on where it ended, also where no window says where that was."""

from pathlib import Path

import polars as pl
import pytest

from serving.stream.log.window_log import DEAD_COLUMNS, OFFSET, WindowLog, WindowSettings

NO_DEAD = pl.DataFrame(schema=DEAD_COLUMNS)


def opened(folder: Path) -> WindowLog:
    return WindowLog(WindowSettings(folder, folder / "dead"))


def rows(begin: int, end: int) -> pl.DataFrame:
    return pl.DataFrame({"user": "u", OFFSET: pl.Series(range(begin, end), dtype=pl.Int64)}, schema_overrides={"user": pl.String})


def test_the_beginning_is_known_before_the_first_window(tmp_path: Path) -> None:
    """The next process has the state's position for a beginning, which is further on than the log."""
    killed = opened(tmp_path)
    assert killed.acquire("t/0", begin=7) == 7
    killed.append("t/0", end=100, events=rows(7, 100), dead=NO_DEAD)
    killed.rewind("t/0", 0)  # a process that is killed doesn't publish what it has
    killed.release("t/0")
    assert opened(tmp_path).acquire("t/0", begin=100) == 7


@pytest.mark.parametrize("content", ["", "0000000000"])
def test_a_note_that_didnt_come_to_its_end_is_none(tmp_path: Path, content: str) -> None:
    """Nothing of the partition was applied before it was written."""
    opened(tmp_path)
    (tmp_path / ".t%2F0.lock").write_text(content)
    assert opened(tmp_path).acquire("t/0", begin=100) == 100


def test_windows_may_be_moved_elsewhere(tmp_path: Path) -> None:
    log = opened(tmp_path)
    log.acquire("t/0", begin=0)
    log.append("t/0", end=50, events=rows(0, 50), dead=NO_DEAD)
    log.publish_due(all_of_them=True)
    log.append("t/0", end=80, events=rows(50, 80), dead=NO_DEAD)
    log.release("t/0")
    for path in tmp_path.glob("events-*.parquet"):
        path.unlink()
    assert opened(tmp_path).acquire("t/0", begin=200) == 80
