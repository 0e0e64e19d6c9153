"""The metrics of a stream's consumer, in this process: its counts and live figures grow as they would with events."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import polars as pl
from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server

from serving.stream.figures.live_figures import FigureSettings, LiveFigures
from serving.stream.figures.prometheus import FiguresCollector
from serving.stream.metrics import StreamMetrics
from serving.stream.state.decisions import COUNTED
from tests.serving.stream.figures.attribution_oracle import MINUTE_US, Row, dataset, frames

REQUESTS = 20  # a turn
TURN_US = 10 * MINUTE_US  # of the events' own time, so that windows end


def events(turn: int) -> list[Row]:
    rows: list[Row] = []
    for number in range(REQUESTS):
        begun = {"time": turn * TURN_US + number, "user": f"u{number}", "item": "p1", "request": f"r{turn}-{number}", "session": ""}
        described = {"version": str(7 + number % 2), "arms": '{"shelf": "new"}', "f:device": "tv"}
        rows.append(begun | described | {"action": "impression", "revenue": float("nan")})
        rows.append(begun | {"time": begun["time"] + 1000, "action": "click" if number % 3 else "buy", "revenue": 2.0})
    return rows


@contextmanager
def growing_stream() -> Iterator[int]:
    """The port of its metrics."""
    registry, figures = CollectorRegistry(), LiveFigures(dataset(), FigureSettings(every_s=0, late_s=0))
    metrics = StreamMetrics(registry)
    ProcessCollector(registry=registry)
    registry.register(FiguresCollector(figures))
    server, thread = start_http_server(0, "127.0.0.1", registry)
    ended = threading.Event()

    def grow() -> None:
        turn = 0
        while not ended.wait(0.2):
            figures.add(*frames(events(turn)), now_us=10**15, watermark_us=turn * TURN_US)
            metrics.applied(
                np.full(2 * REQUESTS, COUNTED, np.int8),
                np.full(2 * REQUESTS, time.time_ns() // 1000),
                seconds=0.01,
                counts={"rows read": 2 * REQUESTS},
            )
            metrics.set_aside(pl.Series(["unknown action"]))
            metrics.lost("clicks/0", 1)
            metrics.retried("state")
            metrics.waiting({"clicks/0": 3})
            metrics.sized(keys=turn, bytes_used=1000 * turn, ids_dropped=0, payloads_dropped=0)
            turn += 1

    growing = threading.Thread(target=grow)
    growing.start()
    try:
        yield server.server_port
    finally:
        ended.set()
        growing.join()
        server.shutdown()
        server.server_close()
        thread.join()
