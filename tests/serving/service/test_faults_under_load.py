"""A model server that is halted, goes on, is killed and comes back while shoppers ask: each of them gets an order in time."""

import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.serving.service.bad_model_servers import free_port
from tests.serving.service.conftest import Shop, service_of
from tests.serving.service.little_shop import ITEMS
from tests.serving.service.running import Service, running

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
