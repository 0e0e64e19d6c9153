"""A whole run of `shelfrank stream`: broker, Redis with an append-only file, and consumers, all of which may be killed."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from confluent_kafka import Producer

from pipeline.cli.main import main
from tests.engines.kafka.broker import Broker
from tests.serving.stream.shop import SHOP, Row, shop

TOPIC = "events"
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["pipeline.cli.stream"])  # so that a killed consumer is replaced without importing anew
_PATIENCE_S = 300.0


class Store:
    """A Redis that keeps what it has acknowledged through SIGKILL."""

    def __init__(self, folder: Path, port: int) -> None:
        server = shutil.which("redis-server")
        if server is None:
            pytest.skip("no redis-server here: apt-get install redis-server")
        self.port, self._command = (
            port,
            [server, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "", "--appendonly", "yes"],
        )
        self.client = redis.Redis(port=port)
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + _PATIENCE_S
        while True:
            try:
                if self.client.ping():
                    return
            except redis.RedisError:  # also while it loads its file
                assert self._process.poll() is None, "redis-server ended at once"
                assert time.monotonic() < until, "redis-server doesn't answer"
                time.sleep(0.02)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


class StreamRun:
    """What runs, and how to end it."""

    def __init__(self, folder: Path, broker: Broker, store: Store, *, options: Sequence[str] = ()) -> None:
        self.folder, self.broker, self.store = folder, broker, store
        self.log = folder / "log"
        (folder / "shop.yaml").write_text(SHOP)
        self._command = [
            "stream", str(folder / "shop.yaml"), "--from", f"kafka://{broker.address}/{TOPIC}?session.timeout.ms=2000&heartbeat.interval.ms=300",
            "--redis", f"redis://127.0.0.1:{store.port}/0", "--log", str(self.log), "--window", "1", *options,
        ]  # fmt: skip
        self.consumers: list[multiprocessing.process.BaseProcess] = []

    def start_consumer(self) -> None:
        process = _FORKS.Process(target=_consume, args=(self._command, str(self.folder / "consumers.log")))
        process.start()
        self.consumers.append(process)

    def kill_consumer(self, index: int) -> None:
        process = self.consumers.pop(index)
        process.kill()
        process.join()

    def stop(self) -> None:
        for process in self.consumers:
            process.terminate()
        for process in self.consumers:
            process.join(_PATIENCE_S)
            # One that was just started ends before it can take note.
            assert process.exitcode in (0, -signal.SIGTERM), self.errors()
        self.consumers = []

    def errors(self) -> str:
        return (self.folder / "consumers.log").read_text()[-5000:]

    def wait_for(self, ends: Mapping[str, int]) -> None:
        """Wait until the state has all messages."""
        until = time.monotonic() + _PATIENCE_S
        while (now := self.floors()) != ends:
            assert all(process.is_alive() for process in self.consumers), self.errors()
            assert time.monotonic() < until, f"expected {ends}, got {now}: {self.errors()}"
            time.sleep(0.1)

    def floors(self) -> dict[str, int]:
        keys = list(self.store.client.scan_iter(b"*\x00floor", count=10_000))
        values = self.store.client.mget(keys) if keys else []
        named = {key.rpartition(b"{")[2].partition(b"}")[0].decode(): value for key, value in zip(keys, values, strict=True)}
        return {name: int.from_bytes(value[8:16], "little") for name, value in named.items() if value is not None}


def _consume(command: Sequence[str], log: str) -> None:
    with open(log, "a", buffering=1) as out:
        sys.stdout = sys.stderr = out
        code = main(command)
        out.write(f"{os.getpid()} exit code {code}\n")
    sys.exit(code)


@contextmanager
def stream_run(folder: Path, port: int, *, partitions: int, options: Sequence[str] = ()) -> Iterator[StreamRun]:
    """Start broker and Redis; consumers are the caller's."""
    broker = Broker(folder)
    store = Store(folder, port)
    run = StreamRun(folder, broker, store, options=options)
    try:
        broker.start()
        broker.create_topic(TOPIC, partitions=partitions)
        yield run
    finally:
        for process in run.consumers:
            process.kill()
        broker.kill()
        store.kill()


def message(row: Row) -> bytes:
    """An event as a shop writes it."""
    time_us, user, item, action, request, session = row
    names = list(shop().actions)
    return json.dumps(
        {"time": time_us, "user": user, "item": item, "action": names[action], "request": request, "session": session}
    ).encode()


def producer(broker: Broker) -> Producer:
    settings = {
        "enable.idempotence": True,
        "linger.ms": 20,
        "delivery.timeout.ms": 600_000,
        "log_level": 0,
        "queue.buffering.max.messages": 1_000_000,
    }
    return Producer({"bootstrap.servers": broker.address, **settings})
