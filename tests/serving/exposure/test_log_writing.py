"""What the log promises: acknowledged is on the disk, nothing waits, whole files only, and drops are counted."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from components.contract.errors import InputError, LogUnavailable
from serving.exposure.crash_recovery import RecoveryCounts, recover
from serving.exposure.event_types import is_sampled
from serving.exposure.log import LogSettings
from serving.exposure.log_file import LogFile
from serving.exposure.pseudonym import pseudonym
from tests.serving.exposure.shop_log import START_US, click, exposure, log

ROOT = Path(__file__).resolve().parents[3]


def process(module: str, folder: Path) -> "subprocess.Popen[str]":
    code = f"from tests.serving.exposure.{module} import main; main()"
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True, env=env, cwd=ROOT)


def read(folder: Path, name: str) -> list[dict[str, Any]]:
    """The rows of all complete files of a kind; every line must be one."""
    return [json.loads(line) for path in sorted(folder.glob(f"{name}-*.jsonl")) for line in path.read_bytes().splitlines()]


def test_a_decision_is_told_whole_with_scores_and_rules_apart(tmp_path: Path) -> None:
    writer = log(tmp_path)
    assert writer.offer(exposure(0, features={"x": [1.5, float("nan")]}, scores=[0.1, float("inf"), 0.3, 0.2]))
    assert writer.close(10)
    assert read(tmp_path, "decisions") == [
        {
            "request": "r0",
            "time": START_US,
            "user": "u0",
            "session": "s0",
            "label": "stable",
            "version": "7",
            "arms": {"canary": "control"},
            "degraded": "",
            "source": "",
            "model_ms": 4.25,
            "items": ["a", "b", "c", "d"],
            "scores": [0.1, None, 0.3, 0.2],
            "order": [1, 3, 0],
            "shown": 2,
            "rules": [
                {"rule": "gone", "kind": "filter", "moved": [["c", 1, None]]},
                {"rule": "own", "kind": "boost", "moved": [["d", 1, 1], ["a", 2, 2]]},
            ],
            "features": {"x": [1.5, None]},
        }
    ]


def test_the_rows_of_a_decision_are_its_first_places(tmp_path: Path) -> None:
    writer = log(tmp_path)
    writer.offer(exposure(0, shopper=""))
    writer.offer(exposure(1, shown=9))
    assert writer.close(10)
    rows = read(tmp_path, "impressions")
    assert [(row["request"], row["item"], row["position"], row["action"]) for row in rows] == [
        ("r0", "b", 0, "view"),
        ("r0", "d", 1, "view"),
        ("r1", "b", 0, "view"),
        ("r1", "d", 1, "view"),
        ("r1", "a", 2, "view"),
    ]
    assert [row["user"] for row in rows[:3]] == [None, None, "u1"]


def test_an_acknowledged_interaction_is_on_the_disk_at_once(tmp_path: Path) -> None:
    writer = log(tmp_path)
    writer.commit([click(0), click(1)]).result(10)
    (path,) = tmp_path.glob("interactions-*.jsonl.open")
    assert [json.loads(line)["request"] for line in path.read_bytes().splitlines()] == ["r0", "r1"]
    assert writer.counts().interactions_committed == 2
    assert writer.close(10)
    assert [row["request"] for row in read(tmp_path, "interactions")] == ["r0", "r1"]


def test_what_could_not_be_synced_is_not_acknowledged_and_not_in_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = log(tmp_path)
    writer.commit([click(0)]).result(10)
    good, fails = os.fdatasync, [True]

    def fdatasync(file: int) -> None:
        if fails:
            raise OSError(errno.EIO, "no such luck")
        good(file)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    with pytest.raises(LogUnavailable, match=r"couldn't be written to the disk: .*no such luck; send them again later"):
        writer.commit([click(1)]).result(10)
    fails.clear()
    writer.commit([click(2)]).result(10)
    assert writer.close(10)
    assert [row["request"] for row in read(tmp_path, "interactions")] == ["r0", "r2"]
    assert (writer.counts().interactions_committed, writer.counts().interactions_refused) == (2, 1)


def test_those_who_wait_share_one_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first holds the disk until all others have come; then two syncs have served everybody."""
    begun, go, syncs = threading.Event(), threading.Event(), []
    good = os.fdatasync

    def fdatasync(file: int) -> None:
        syncs.append(file)
        begun.set()
        assert go.wait(10)
        good(file)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    writer = log(tmp_path)
    futures = [writer.commit([click(0)])]
    assert begun.wait(10)
    futures += [writer.commit([click(n)]) for n in range(1, 50)]
    go.set()
    for future in futures:
        future.result(10)
    assert len(syncs) == 2
    assert writer.close(10)


def test_nobody_waits_while_the_disk_hangs_and_what_the_queue_cannot_hold_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go = threading.Event(), threading.Event()
    good = os.fdatasync

    def fdatasync(file: int) -> None:
        begun.set()
        assert go.wait(20)
        good(file)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    writer = log(tmp_path, queue_rows=100)
    hanging = writer.commit([click(0)])
    assert begun.wait(10)
    began = time.monotonic()
    taken = [writer.offer(exposure(n)) for n in range(30)]  # of five rows each, a hundred fit
    waiting = writer.commit([click(n) for n in range(1, 61)])
    refused = writer.commit([click(n) for n in range(61, 121)])
    assert time.monotonic() - began < 2
    assert taken == [True] * 20 + [False] * 10
    with pytest.raises(LogUnavailable, match=r"the log takes no interactions: 60 are waiting already; send them again later"):
        refused.result(0)
    assert not hanging.done()
    go.set()
    waiting.result(10)
    assert writer.close(10)
    counts = writer.counts()
    assert (counts.exposures_written, counts.exposures_dropped_queue_full) == (20, 10)
    assert (counts.interactions_committed, counts.interactions_refused) == (61, 60)


def test_who_gave_up_waiting_does_not_end_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go = threading.Event(), threading.Event()
    good = os.fdatasync

    def fdatasync(file: int) -> None:
        begun.set()
        assert go.wait(20)
        good(file)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    writer = log(tmp_path)
    impatient = writer.commit([click(0)])
    assert begun.wait(10)
    assert impatient.cancel()
    go.set()
    writer.commit([click(1)]).result(10)
    assert writer.close(10)


def test_a_killed_process_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    with process("writing_process", tmp_path) as running:
        assert running.stdout is not None
        said = [int(running.stdout.readline()) for _ in range(300)]
        running.send_signal(signal.SIGKILL)
        said += [int(line) for line in running.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    found = recover(tmp_path)
    assert found.files >= 1
    assert list(tmp_path.glob("*.open")) == []
    kept = {row["request"] for row in read(tmp_path, "interactions")}
    assert {f"r{n}" for n in said} <= kept
    assert read(tmp_path, "decisions")


def test_a_full_disk_drops_and_counts_decisions_refuses_interactions_and_leaves_whole_lines(tmp_path: Path) -> None:
    with process("full_disk", tmp_path) as running:
        assert running.stdout is not None
        told = json.loads(running.stdout.read())
    assert running.returncode == 0
    assert told["refused"] == list(range(1, 30))
    assert told["interactions"] == [2, 29 * 20]
    assert (told["accepted"], told["closed"]) == (True, True)
    assert told["dropped"] > 0
    assert told["written"] + told["dropped"] == 31
    assert [row["request"] for row in read(tmp_path, "interactions")] == ["r0", "r30"]
    assert {"r0", "r30"} <= {row["request"] for row in read(tmp_path, "decisions")}
    assert read(tmp_path, "impressions")
    assert recover(tmp_path) == RecoveryCounts()


def left_behind(folder: Path, content: bytes, name: str = "interactions-1") -> None:
    (folder / f"{name}.jsonl.open").write_bytes(content)


@pytest.mark.parametrize(
    ("content", "kept", "torn"),
    [
        (b'{"a":1}\n{"a":2}\n', [1, 2], 0),
        (b'{"a":1}\n{"a":2}', [1], 1),  # whole, but for its end: nobody was told that it is there
        (b'{"a":1}\n{"a', [1], 1),
        (b'{"a":1}\n\0\0\0\0\n{"a":3}\n', [1, 3], 1),
        (b'{"a":1}\n[2]\n', [1], 1),
    ],
)
def test_whole_lines_of_what_was_left_behind_are_kept_and_others_counted(
    tmp_path: Path, content: bytes, kept: list[int], torn: int
) -> None:
    left_behind(tmp_path, content)
    assert recover(tmp_path) == RecoveryCounts(1, len(kept), torn)
    assert [row["a"] for row in read(tmp_path, "interactions")] == kept
    assert recover(tmp_path) == RecoveryCounts()


@pytest.mark.parametrize("content", [b"", b"\0\0", b'{"a'])
def test_a_file_without_a_whole_line_is_removed(tmp_path: Path, content: bytes) -> None:
    left_behind(tmp_path, content)
    assert recover(tmp_path).kept == 0
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_new_log_recovers_what_the_last_left_and_counts_it(tmp_path: Path) -> None:
    left_behind(tmp_path, b'{"a":1}\n{"a')
    writer = log(tmp_path)
    assert writer.counts().recovered == RecoveryCounts(1, 1, 1)
    assert writer.close(10)


def test_a_file_that_another_process_writes_to_is_left_alone(tmp_path: Path) -> None:
    left_behind(tmp_path, b'{"a":1}\n')
    with (tmp_path / "interactions-1.jsonl.open").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert recover(tmp_path) == RecoveryCounts()
    assert recover(tmp_path) == RecoveryCounts(1, 1, 0)


def test_two_logs_share_a_folder(tmp_path: Path) -> None:
    first, second = log(tmp_path), log(tmp_path)
    first.commit([click(0)]).result(10)
    second.commit([click(1)]).result(10)
    third = log(tmp_path)  # and a third that begins meanwhile takes nothing from them
    assert third.counts().recovered == RecoveryCounts()
    assert all(writer.close(10) for writer in (first, second, third))
    assert sorted(row["request"] for row in read(tmp_path, "interactions")) == ["r0", "r1"]


def test_a_file_is_complete_when_it_is_large_enough(tmp_path: Path) -> None:
    writer = log(tmp_path, rotate_bytes=300)  # two clicks
    for n in range(8):
        writer.commit([click(n)]).result(10)
    files = sorted(tmp_path.glob("interactions-*.jsonl"))
    assert len(files) >= 3
    assert all(300 <= path.stat().st_size < 600 for path in files)
    assert writer.close(10)
    assert [row["request"] for row in read(tmp_path, "interactions")] == [f"r{n}" for n in range(8)]


def test_a_file_is_complete_when_it_is_old_enough_even_if_nothing_more_comes(tmp_path: Path) -> None:
    writer = log(tmp_path, rotate_s=0.1)
    writer.commit([click(0)]).result(10)
    writer.offer(exposure(0))
    until = time.monotonic() + 10
    while len(list(tmp_path.glob("*.jsonl"))) < 3 and time.monotonic() < until:
        time.sleep(0.02)
    assert sorted(path.name.split("-")[0] for path in tmp_path.glob("*.jsonl")) == ["decisions", "impressions", "interactions"]
    assert writer.close(10)


def test_a_closed_log_has_written_all_and_takes_nothing_more(tmp_path: Path) -> None:
    writer = log(tmp_path)
    assert all(writer.offer(exposure(n)) for n in range(500))
    assert writer.close(20)
    assert len(read(tmp_path, "decisions")) == 500
    assert not writer.offer(exposure(500))
    with pytest.raises(LogUnavailable, match="it is closed"):
        writer.commit([click(0)]).result(0)
    assert list(tmp_path.glob("*.open")) == []


def test_a_decision_that_cannot_be_told_is_counted_and_the_next_is_logged(tmp_path: Path) -> None:
    writer = log(tmp_path)
    writer.offer(exposure(0, order=[99]))
    writer.offer(exposure(1))
    assert writer.close(10)
    assert [row["request"] for row in read(tmp_path, "decisions")] == ["r1"]
    assert writer.counts().exposures_dropped_unwritable == 1


def test_many_threads_lose_nothing(tmp_path: Path) -> None:
    writer = log(tmp_path, rotate_bytes=5000)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: (writer.offer(exposure(n)), writer.commit([click(n)]).result(20)), range(400)))
    assert writer.close(20)
    wanted = sorted(f"r{n}" for n in range(400))
    assert sorted(row["request"] for row in read(tmp_path, "interactions")) == wanted
    assert sorted(row["request"] for row in read(tmp_path, "decisions")) == wanted


def test_an_unknown_action_is_refused_with_the_closest_one(tmp_path: Path) -> None:
    writer = log(tmp_path)
    with pytest.raises(InputError, match=r"the dataset file has no action 'clik'; did you mean 'click'\?"):
        writer.commit([click(0, action="clik")])
    writer.commit([]).result(0)
    assert writer.close(10)


@pytest.mark.parametrize("name", ["rotate_bytes", "rotate_s", "queue_rows", "retry_s"])
def test_a_setting_of_nothing_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=f"the log's {name} is above 0, got 0"):
        LogSettings(tmp_path, **{name: 0})


def test_a_file_whose_end_could_not_be_cut_off_is_left_to_recovery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segment = LogFile(tmp_path, "interactions-1")
    segment.append(b'{"a":1}\n')
    good = os.write

    def torn(file: int, view: memoryview) -> int:
        if len(view) > 3:
            return good(file, view[:3])
        raise OSError(errno.ENOSPC, "full")

    def refused(file: int, size: int) -> None:
        raise OSError(errno.EIO, "no")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", torn)
        patched.setattr(os, "ftruncate", refused)
        with pytest.raises(OSError, match="full"):
            segment.append(b'{"a":2}\n')
    segment.finish()
    assert read(tmp_path, "interactions") == []
    assert recover(tmp_path) == RecoveryCounts(1, 1, 1)
    assert [row["a"] for row in read(tmp_path, "interactions")] == [1]


def test_a_shoppers_key_is_a_keyed_hash_that_stays() -> None:
    """Computed with `openssl dgst -sha256 -hmac JefeJefeJefeJefe`."""
    assert pseudonym("u1", None) == "u1"
    assert pseudonym("", b"0123456789abcdef") == ""
    key = pseudonym("what do ya want for nothing?", b"JefeJefeJefeJefe")
    assert key == "2ccd85dfc8d18cb5d84fef4b19855469"
    assert key != pseudonym("what do ya want for nothing?", b"JefeJefeJefeJeff")
    with pytest.raises(InputError, match="expected a salt of at least 16 bytes, got 4"):
        pseudonym("u1", b"Jefe")


def test_a_share_of_requests_is_sampled_whoever_asks() -> None:
    chosen = [n for n in range(20_000) if is_sampled(f"r{n}", 0.1)]
    assert abs(len(chosen) - 2000) < 3 * (20_000 * 0.1 * 0.9) ** 0.5
    assert all(is_sampled(f"r{n}", 0.2) for n in chosen)
    assert not any(is_sampled(f"r{n}", 0) for n in range(100))
    assert all(is_sampled(f"r{n}", 1) for n in range(100))
