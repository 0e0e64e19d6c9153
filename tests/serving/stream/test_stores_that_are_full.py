"""A full disk and a full Redis stop a stream and lose nothing: it goes on by itself when there is room."""

import errno
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import redis

from serving.state.item_codes import ItemCodes
from serving.stream.log import window_log
from serving.stream.log.window_files import WindowFile, publish
from serving.stream.log.window_log import OFFSET, WindowLog, WindowSettings
from tests.serving.state.private_redis import private_redis
from tests.serving.stream.memory_topic import payloads
from tests.serving.stream.state.test_stream_state import held
from tests.serving.stream.test_consumer import click, consume, logged


@pytest.fixture
def client() -> Iterator[redis.Redis]:
    with private_redis() as made:
        yield made


def test_a_full_redis_is_waited_for(client: redis.Redis, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    consume(client, tmp_path, {"t/0": payloads([click(at, user=f"u{at}") for at in range(50)])})
    client.config_set("maxmemory", client.info("memory")["used_memory"] - 100_000)
    client.config_set("maxmemory-policy", "noeviction")
    relief = threading.Timer(1.0, lambda: client.config_set("maxmemory", 0))
    relief.start()
    registry = consume(client, tmp_path, {"t/0": payloads([click(at, user=f"u{at}") for at in range(100)])})
    relief.join()
    assert "used memory > 'maxmemory'" in caplog.text
    assert registry.get_sample_value("shelfrank_stream_retries_total", {"what": "state"})
    assert held(client, [f"u{at}" for at in range(100)], "users", ItemCodes()).totals[:, 2].tolist() == [1] * 100
    assert logged(tmp_path)[OFFSET].sort().to_list() == list(range(100))


def test_a_full_disk_stops_reading_and_no_event_is_lost(
    client: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refused = 0

    def full(folder: Path, window: WindowFile, rows: pl.DataFrame) -> None:
        nonlocal refused
        refused += 1
        if refused <= 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        publish(folder, window, rows)

    monkeypatch.setattr(window_log, "publish", full)
    consume(client, tmp_path, {"t/0": payloads([click(at) for at in range(300)])})
    assert "No space left on device" in caplog.text
    assert logged(tmp_path)[OFFSET].sort().to_list() == list(range(300))


def test_windows_that_cant_be_written_are_bounded(tmp_path: Path) -> None:
    log = WindowLog(WindowSettings(tmp_path / "log", tmp_path / "dead", most_rows=100))
    log.acquire("t/0", begin=0)
    nothing = pl.DataFrame(schema=window_log.DEAD_COLUMNS)
    for at in range(0, 200, 50):
        assert not log.full()
        log.append("t/0", end=at + 50, events=pl.DataFrame({OFFSET: range(at, at + 50)}), dead=nothing)
    assert log.full()
    log.publish_due()
    assert not log.full()


def test_dead_letters_are_bounded_and_their_reasons_kept(tmp_path: Path) -> None:
    log = WindowLog(WindowSettings(tmp_path / "log", tmp_path / "dead", dead_bytes=10_000))
    log.acquire("t/0", begin=0)
    for at in range(4):
        dead = pl.DataFrame(
            {
                "partition": ["t/0"],
                "offset": [at],
                "time_us": [0],
                "payload": [np.random.default_rng(at).bytes(8_000)],
                "reason": ["late"],
                "detail": [""],
            },
            schema=window_log.DEAD_COLUMNS,
        )
        log.append("t/0", end=at + 1, events=pl.DataFrame({OFFSET: []}, schema={OFFSET: pl.Int64}), dead=dead)
        log.release("t/0")
        log.acquire("t/0", begin=0)
    kept = logged(tmp_path, "dead").sort("offset")
    assert kept["reason"].to_list() == ["late"] * 4
    assert kept["payload"].null_count() == log.payloads_dropped > 0
