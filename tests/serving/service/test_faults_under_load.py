"""What fails behind the service while shoppers ask and click: each gets an order in time, and no click that was acknowledged is lost."""

import http.client
import json
import math
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
import redis

from serving.client.messages import PREDICT
from tests.serving.service.bad_model_servers import answering, free_port, scores
from tests.serving.service.conftest import Shop, service_of
from tests.serving.service.little_shop import ITEMS
from tests.serving.service.load import Load, load
from tests.serving.service.running import Service, running
from tests.serving.service.test_start_and_stop import asked, command, ready
from tests.serving.state.private_redis import answering as redis_answering

ROOT = Path(__file__).resolve().parents[3]
DEADLINE_S, SLACK_S = 0.5, 0.5  # four clients, the service and a model server that loads share two cores
CLIENTS = 4


def model_server(shop: Shop, port: int) -> "subprocess.Popen[bytes]":
    command = [
        sys.executable,
        "-m",
        "serving.model_server",
        f"--port={port}",
        "--model_name=shop",
        f"--model_base_path={shop.models.parent / 'one'}",
    ]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)


def until_rung(service: Service, rung: str) -> None:
    until = time.monotonic() + 60
    while service.rank(*ITEMS)["rung"] != rung:
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.slow
def test_every_request_is_answered_in_time_whatever_becomes_of_the_model_server(shop: Shop) -> None:
    (shop.models.parent / "one").mkdir()
    (shop.models.parent / "one" / "2").symlink_to(shop.models / "2")
    port = free_port()
    process = model_server(shop, port)
    seconds: list[float] = []
    rungs: Counter[str] = Counter()
    wrong: list[Any] = []
    over = threading.Event()

    def ask(service: Service) -> None:
        while not over.is_set():
            began = time.perf_counter()
            answer = service.call("POST", "/v1/rank", b'{"candidates": ["p0", "p1", "p2"]}', {"content-type": "application/json"})
            seconds.append(time.perf_counter() - began)
            if answer.status == 200:
                rungs[answer.json["rung"]] += 1
            else:
                wrong.append(answer)

    places = {"model_server": f"127.0.0.1:{port}"}
    with running(service_of(shop, places, label="", deadline_ms=DEADLINE_S * 1e3)) as service:
        try:
            until_rung(service, "model")
            threads = [threading.Thread(target=ask, args=(service,)) for _ in range(CLIENTS)]
            for thread in threads:
                thread.start()
            time.sleep(1)
            process.send_signal(signal.SIGSTOP)
            time.sleep(3)
            assert service.rank(*ITEMS)["degraded"]
            process.send_signal(signal.SIGCONT)
            until_rung(service, "model")
            process.kill()
            process.wait()
            time.sleep(1)
            assert service.rank(*ITEMS)["degraded"]
            process = model_server(shop, port)
            until_rung(service, "model")
        finally:
            over.set()
            process.kill()
            process.wait()
            for thread in threads:
                thread.join()
    assert wrong == []
    assert max(seconds) < DEADLINE_S + SLACK_S
    assert min(rungs["model"], rungs["given"]) > 50


@contextmanager
def process_of(shop: Shop, log: Path, *more: str) -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    """A service as a process; gives its port."""
    port = free_port()
    line = command(shop, port, "--log", str(log), "--deadline-ms", str(DEADLINE_S * 1e3), *more)
    process = subprocess.Popen(line, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        ready(port, process)
        for _ in range(20):
            asked(port, "POST", "/v1/rank", b'{"candidates": ["p0"]}')
        yield port, process
    finally:
        process.kill()
        process.wait()


def in_log(folder: Path) -> list[str]:
    """The requests of clicks in the log, as often as they are there."""
    lines = [line for path in folder.glob("interactions-*") for line in path.read_text().splitlines()]
    return [json.loads(line)["request"] for line in lines]


def clicks(port: int) -> int:
    """Of p0, as the state counts them: the model's score is log(price) and them."""
    _, body = asked(port, "POST", "/v1/rank", b'{"candidates": ["p0"]}')
    answer = json.loads(body)
    assert (answer["rung"], answer["degraded"]) == ("model", False), answer
    return round(answer["scores"][0] - math.log(10))


def nothing_lost(made: Load, port: int, log: Path) -> None:
    """All was answered as it may be, in time, and each click that was acknowledged is there: in the log, and once in the state."""
    assert (made.wrong, made.broken) == ([], [])
    assert max(made.seconds) < DEADLINE_S + SLACK_S
    assert made.acknowledged == made.sent
    assert made.acknowledged <= set(in_log(log))
    assert clicks(port) == len(made.acknowledged)


@pytest.mark.slow
def test_a_model_server_that_becomes_slow_or_answers_rubbish(shop: Shop, tmp_path: Path) -> None:
    how = {"now": "well"}
    with grpc.insecure_channel(shop.address) as channel:
        predict: Callable[..., bytes] = channel.unary_unary(PREDICT)

        def between(raw: bytes, _: grpc.ServicerContext) -> bytes:
            time.sleep(0.6 if how["now"] == "slow" else 0.06)
            return {"torn": b"\xff\xff", "nan": scores([[float("nan")] * 10])}.get(how["now"]) or predict(raw, timeout=5)

        with answering(between) as address, process_of(replace(shop, address=address), tmp_path) as (port, _):
            with load(port) as made:
                for how["now"] in ("well", "slow", "well", "torn", "well", "nan", "well"):
                    time.sleep(3)
            time.sleep(1.2)  # the breaker's pause
            nothing_lost(made, port, tmp_path)
    assert min(made.rungs["model"], sum(made.rungs.values()) - made.rungs["model"]) > 50
    assert made.refused == 0


@pytest.mark.slow
def test_redis_is_killed_and_comes_back(shop: Shop, tmp_path: Path) -> None:
    server, at = shutil.which("redis-server"), free_port()
    if server is None:
        pytest.skip("no redis-server here: apt-get install redis-server")
    kept = ["--appendonly", "yes", "--appendfsync", "always", "--save", "", "--dir", str(tmp_path)]
    line = [server, "--port", str(at), "--bind", "127.0.0.1", *kept]

    def begin() -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with redis.Redis(port=at) as client:
            redis_answering(client, process)
        return process

    store = begin()
    try:
        with process_of(shop, tmp_path / "log", "--redis", f"redis://127.0.0.1:{at}/0") as (port, _):
            with load(port) as made:
                for _ in range(2):
                    time.sleep(2)
                    store.kill()
                    store.wait()
                    time.sleep(2)
                    store = begin()
                time.sleep(2)
            nothing_lost(made, port, tmp_path / "log")
    finally:
        store.kill()
        store.wait()
    assert made.refused > 0


@pytest.mark.slow
def test_the_logs_disk_is_full_for_a_while(shop: Shop, tmp_path: Path) -> None:
    with process_of(shop, tmp_path) as (port, process):
        _, most = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        with load(port) as made:
            for _ in range(2):
                time.sleep(2)
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1000, most))  # its files may not grow: writes tear a line and fail
                time.sleep(2)
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most, most))
            time.sleep(2)
        nothing_lost(made, port, tmp_path)
    assert made.refused > 0


@pytest.mark.slow
def test_sigterm_under_load(shop: Shop, tmp_path: Path) -> None:
    with process_of(shop, tmp_path / "log", "--snapshot", str(tmp_path / "kept")) as (port, process), load(port) as made:
        time.sleep(2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    assert made.wrong == []
    assert max(made.seconds) < DEADLINE_S + SLACK_S
    assert {type(error) for error in made.broken} <= {ConnectionRefusedError, ConnectionResetError, http.client.RemoteDisconnected}
    assert made.acknowledged <= set(in_log(tmp_path / "log"))
    with process_of(shop, tmp_path / "log", "--snapshot", str(tmp_path / "kept")) as (port, _):
        assert len(made.acknowledged) <= clicks(port) <= len(made.sent)
