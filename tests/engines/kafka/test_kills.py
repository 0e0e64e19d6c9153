"""Whatever is killed, and however often: the state is as if each event had come once, and the log holds each once."""

import os
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from components.state.reducer import State
from serving.stream.log.window_files import parsed
from serving.stream.log.window_log import OFFSET
from tests.engines.kafka.broker import free_ports
from tests.engines.kafka.stream_run import TOPIC, StreamRun, message, producer, stream_run
from tests.serving.stream.shop import Row, drawn
from tests.serving.stream.state.test_stream_state import held, one_after_the_other

PARTITIONS, CONSUMERS = 4, 2


def of_partition(rows: list[Row], partition: int) -> list[Row]:
    """The rows with shoppers, requests and sessions that are in no other partition."""

    def own(name: str) -> str:
        return name and f"{name}-{partition}"

    return [(time_us, own(user), item, action, own(request), own(session)) for time_us, user, item, action, request, session in rows]


@pytest.mark.parametrize(
    ("events", "kills"),
    [
        pytest.param(4_000, 6, id="few"),
        pytest.param(
            int(os.environ.get("SHELFRANK_KILL_EVENTS", "400000")), int(os.environ.get("SHELFRANK_KILLS", "100")), id="many",
            marks=[pytest.mark.slow, pytest.mark.timeout(7200)],
        ),
    ],
)  # fmt: skip
def test_a_hundred_kills_leave_each_event_once(tmp_path: Path, events: int, kills: int) -> None:
    generator = np.random.default_rng([events, kills])
    rows = {p: of_partition(drawn(generator, events // PARTITIONS, shoppers=500, items=200), p) for p in range(PARTITIONS)}
    killed = {"consumer": 0, "broker": 0, "redis": 0}
    with stream_run(tmp_path, free_ports(1)[0], partitions=PARTITIONS) as run:
        out = producer(run.broker)
        for _ in range(CONSUMERS):
            run.start_consumer()
        for at in range(kills):
            for partition, some in rows.items():
                for row in some[at * len(some) // kills : (at + 1) * len(some) // kills]:
                    out.produce(TOPIC, message(row), partition=partition)
            out.poll(float(generator.uniform(0, 1.5)))
            target = str(generator.choice(list(killed), p=[0.7, 0.15, 0.15])) if at >= len(killed) else list(killed)[at]
            kill(run, target, generator)
            killed[target] += 1
        assert out.flush(300) == 0
        ends = {f"{TOPIC}/{partition}": len(some) for partition, some in rows.items()}
        run.wait_for(ends)
        run.stop()
        print(f"killed: {killed}")
        assert_log(run.log, rows)
        assert_state(run, [row for some in rows.values() for row in some])


def kill(run: StreamRun, target: str, generator: np.random.Generator) -> None:
    """Kill a process, and start it again after a moment."""
    if target == "consumer":
        run.kill_consumer(int(generator.integers(len(run.consumers))))
        run.start_consumer()
        return
    process = run.broker if target == "broker" else run.store
    process.kill()
    time.sleep(float(generator.uniform(0, 1)))
    process.start()


def assert_log(folder: Path, rows: dict[int, list[Row]]) -> None:
    """The windows of each partition follow each other, and hold what isn't a repetition once."""
    names = sorted(window for path in folder.iterdir() if (window := parsed(path.name)))
    for partition, some in rows.items():
        windows = [window for window in names if window.partition == f"{TOPIC}/{partition}"]
        assert [window.begin for window in windows] == [0, *(window.end for window in windows[:-1])]
        offsets = pl.concat([pl.read_parquet(folder / window.name, columns=[OFFSET]) for window in windows])[OFFSET].to_list()
        seen: set[object] = set()
        expected = []
        for offset, row in enumerate(some):
            content = (row[1], row[2], row[4], row[5]) if row[3] == 1 else row
            if content not in seen:
                expected.append(offset)
            seen.add(content)
        assert offsets == expected


def assert_state(run: StreamRun, rows: list[Row]) -> None:
    """Shoppers' state is equal to the last bit; items', whose events come from several partitions, but for rounding."""
    users, items, codes = one_after_the_other(rows)
    for store, side in ((users, "users"), (items, "items")):
        expected = store.snapshot()
        now = held(run.store.client, list(expected.keys), side, codes)
        for name in State._fields:
            left, right = getattr(now, name), getattr(expected.state, name)
            if name.startswith("history"):
                filled = np.arange(left.shape[1]) < expected.state.written[:, None]
                left, right = left[filled], right[filled]
            if side == "users":
                np.testing.assert_array_equal(left, right, err_msg=f"{side}: {name}")
            elif name == "counts":
                np.testing.assert_allclose(left, right, rtol=1e-9, err_msg=f"{side}: {name}")
            elif name in ("last_us", "seen_us", "totals", "written"):
                np.testing.assert_array_equal(left, right, err_msg=f"{side}: {name}")
