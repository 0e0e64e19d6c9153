"""Clients that rank and click without a pause while something goes wrong, and remember all that they were answered."""

import http.client
import json
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

RANK = b'{"candidates": ["p0", "p1", "p2"]}'
HEADERS = {"content-type": "application/json"}
AGAIN_S = 0.05  # after a 503


@dataclass
class Load:
    """What came of it.

    Attributes:
        seconds: of each order.
        rungs: how many orders each gave.
        wrong: answers that may not be.
        sent: ids of the clicks that were sent.
        acknowledged: and of those that got a 200; the others were sent until then, or until the service was gone.
        refused: 503s that clicks got.
        broken: connections that ended without an answer.
    """

    port: int
    seconds: list[float] = field(default_factory=list)
    rungs: Counter[str] = field(default_factory=Counter)
    wrong: list[Any] = field(default_factory=list)
    sent: set[str] = field(default_factory=set)
    acknowledged: set[str] = field(default_factory=set)
    refused: int = 0
    broken: list[OSError | http.client.HTTPException] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def told(self) -> str:
        """The orders' latency, in milliseconds."""
        times = sorted(self.seconds)
        p50, p99, most = (1e3 * times[min(len(times) - 1, int(len(times) * share))] for share in (0.5, 0.99, 1.0))
        return f"{len(times)} orders, p50 {p50:.0f} p99 {p99:.0f} most {most:.0f} ms; {dict(self.rungs)}; {self.refused} clicks refused"

    def run(self, shopper: str) -> None:
        """One client, until it is over or the service gone."""
        number = 0
        try:
            while not self.over.is_set():
                self._rank()
                self._click(shopper, f"{shopper}-{number}")
                number += 1
        except (OSError, http.client.HTTPException) as error:
            with self.lock:
                self.broken.append(error)

    def _rank(self) -> None:
        began = time.perf_counter()
        status, body = self._asked("/v1/rank", RANK)
        took = time.perf_counter() - began
        with self.lock:
            self.seconds.append(took)
            if status == 200:
                self.rungs[json.loads(body)["rung"]] += 1
            else:
                self.wrong.append((status, body))

    def _click(self, shopper: str, name: str) -> None:
        event = {"action": "click", "item": "p0", "shopper": shopper, "request": name, "time_us": time.time_ns() // 1000}
        self.sent.add(name)
        while True:
            status, body = self._asked("/v1/events", json.dumps({"interactions": [event]}).encode())
            with self.lock:
                if status == 200:
                    self.acknowledged.add(name)
                    return
                self.refused += 1
                if status != 503:
                    self.wrong.append((status, body))
                    return
            time.sleep(AGAIN_S)

    def _asked(self, path: str, body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", path, body, HEADERS)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


@contextmanager
def load(port: int, *, clients: int = 4) -> Iterator[Load]:
    """The clients run while the block does; at its end what was refused is sent again until it is taken."""
    made = Load(port)
    threads = [threading.Thread(target=made.run, args=(f"s{number}",)) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield made
    finally:
        made.over.set()
        for thread in threads:
            thread.join()
        print(made.told())


def terminated_under_clicks(
    process: "subprocess.Popen[bytes]", click: Callable[[str], None], acknowledged: Sequence[str], ended: threading.Event
) -> None:
    """SIGTERM while two shoppers click, each by `click` until `ended`, when 20 clicks are acknowledged; the process must end with 0."""
    threads = [threading.Thread(target=click, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    try:
        while len(acknowledged) < 20:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    finally:
        ended.set()
        process.kill()
        for thread in threads:
            thread.join()
