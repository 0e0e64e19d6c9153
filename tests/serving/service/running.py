"""A service on a port, in a thread of the test's process."""

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from fastapi import FastAPI


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Service:
    """Its address, how to stop it, and calls of it."""

    port: int
    stop: Callable[[], None]

    def call(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            began = time.perf_counter()
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            read = response.read()
            return Answer(
                response.status, {name.lower(): value for name, value in response.getheaders()}, read, time.perf_counter() - began
            )
        finally:
            connection.close()

    def post(self, path: str, body: Any, *, token: str = "") -> Answer:
        headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
        return self.call("POST", path, json.dumps(body).encode(), headers)

    def get(self, path: str) -> Answer:
        return self.call("GET", path)

    def rank(self, *candidates: str, **asked: Any) -> Any:
        answer = self.post("/v1/rank", {"candidates": candidates, **asked})
        assert answer.status == 200, answer.body
        return answer.json

    def counted(self, sample: str) -> float:
        """The value of a sample of the metrics page, by its name with labels; 0 where it isn't there."""
        for line in self.get("/metrics").body.decode().splitlines():
            if line.startswith(f"{sample} "):
                return float(line.rpartition(" ")[2])
        return 0.0


@contextmanager
def running(app: FastAPI) -> Iterator[Service]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False))
    failed: list[BaseException] = []

    def serve() -> None:
        try:
            server.run()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=serve)

    def stop() -> None:
        server.should_exit = True
        thread.join(timeout=20)

    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        assert server.started, failed
        yield Service(server.servers[0].sockets[0].getsockname()[1], stop)
    finally:
        stop()
    assert not failed
    assert not thread.is_alive()
