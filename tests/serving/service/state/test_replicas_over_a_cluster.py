"""Four services over a Redis Cluster, with events, erasures and restarts at random: nothing is lost, and nothing forgotten returns.

    SHELFRANK_SOAK_S=600 python -m pytest -m slow -s tests/serving/service/state/test_replicas_over_a_cluster.py

By default it lasts half a minute. Each shopper is one thread's, so what he must be known for is exact: his clicks since he was last
forgotten, and for who never was those of ingestion as well, which every start of a service brings in again (`--load`).
"""

import http.client
import json
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from components.state.plan import raw_names
from serving.state.interface import plans_of
from serving.state.item_codes import ItemCodes
from serving.state.redis import RedisStates
from tests.serving.service.bad_model_servers import free_port
from tests.serving.service.conftest import Shop, Started
from tests.serving.service.little_shop import ITEMS, dataset
from tests.serving.service.state.test_large_event_calls import until
from tests.serving.service.state.test_restarts import T_US, click, ingested
from tests.serving.service.test_start_and_stop import ROOT, asked, command, ready
from tests.serving.state.private_cluster import private_cluster

SECONDS = float(os.environ.get("SHELFRANK_SOAK_S", "30"))
REPLICAS, THREADS, SHOPPERS, PAST = 4, 6, 5, 3
ERRORS = (OSError, http.client.HTTPException)


@dataclass
class Replica:
    """A service as a process, which is killed, stopped and started again."""

    line: list[str]
    port: int
    log: Path
    process: "subprocess.Popen[bytes]"

    def end(self, how: signal.Signals) -> None:
        self.process.send_signal(how)
        self.process.wait(timeout=60)

    def begin(self) -> None:
        self.process = subprocess.Popen(self.line, cwd=ROOT, stderr=subprocess.DEVNULL)
        ready(self.port, self.process)


@dataclass
class Said:
    """What one thread was told of its shoppers."""

    clicks: Counter[str] = field(default_factory=Counter)  # acknowledged, since he was last forgotten
    items: Counter[str] = field(default_factory=Counter)
    requests: dict[str, set[str]] = field(default_factory=dict)  # of the clicks since
    gone: set[str] = field(default_factory=set)  # requests of clicks before
    forgotten: set[str] = field(default_factory=set)
    tries: int = 0


def said_yes(ports: list[int], draw: random.Random, said: Said, method: str, path: str, body: bytes | None, status: int) -> None:
    """Ask one replica after the other until one says yes."""
    until = time.monotonic() + 120
    while True:
        said.tries += 1
        try:
            answer = asked(draw.choice(ports), method, path, body)
        except ERRORS:
            answer = (0, b"")
        if answer[0] == status:
            return
        assert answer[0] in (0, 503), answer
        assert time.monotonic() < until, "no replica has taken it for two minutes"
        time.sleep(0.05)


def shoppers_of(thread: int) -> list[str]:
    return [f"t{thread}s{number}" for number in range(SHOPPERS)]


def act(thread: int, ports: list[int], over: threading.Event, said: Said) -> None:
    draw, number = random.Random(thread), 0
    while not over.is_set():
        shopper = draw.choice(shoppers_of(thread))
        if draw.random() < 0.1:
            said_yes(ports, draw, said, "DELETE", f"/v1/shoppers/{shopper}", None, 204)
            said.forgotten.add(shopper)
            said.gone |= said.requests.pop(shopper, set())
            said.clicks[shopper] = 0
            continue
        events = []
        for _ in range(draw.choice([1, 1, 1, 40])):
            number += 1
            item = draw.choice(ITEMS)
            event = {"action": "click", "item": item, "shopper": shopper, "time_us": time.time_ns() // 1000}
            events.append({**event, "request": f"{shopper}-{number}"})
        said_yes(ports, draw, said, "POST", "/v1/events", json.dumps({"interactions": events}).encode(), 200)
        said.clicks[shopper] += len(events)
        said.items.update(event["item"] for event in events)
        said.requests.setdefault(shopper, set()).update(event["request"] for event in events)
        if draw.random() < 0.2:  # the answer may have been lost on its way
            said_yes(ports, draw, said, "POST", "/v1/events", json.dumps({"interactions": events}).encode(), 200)


def in_logs(replicas: list[Replica]) -> Counter[str]:
    lines = [line for replica in replicas for path in replica.log.glob("interactions-*") for line in path.read_text().splitlines()]
    return Counter(json.loads(line)["request"] for line in lines)


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 600)
def test_nothing_acknowledged_is_lost_and_nothing_forgotten_returns(shop: Shop, started: Started, tmp_path: Path) -> None:
    names = [name for thread in range(THREADS) for name in shoppers_of(thread)]
    state = ingested(shop, started, tmp_path, *(click(name, n, "p0") for n in range(PAST) for name in names))
    with private_cluster("--appendonly", "yes") as nodes:
        more = ["--redis", f"redis://127.0.0.1:{nodes[0]}/0", "--redis-cluster", "--load", "--state", str(state)]
        replicas = []
        for number in range(REPLICAS):
            port, log = free_port(), tmp_path / f"log{number}"
            line = command(shop, port, *more, "--log", str(log))
            replicas.append(Replica(line, port, log, subprocess.Popen(line, cwd=ROOT, stderr=subprocess.DEVNULL)))
        over, draw, restarts = threading.Event(), random.Random(0), Counter[str]()
        told = [Said() for _ in range(THREADS)]
        failed: list[BaseException] = []

        def run(thread: int) -> None:
            try:
                act(thread, [replica.port for replica in replicas], over, told[thread])
            except BaseException as error:
                failed.append(error)
                raise

        threads = [threading.Thread(target=run, args=(thread,)) for thread in range(THREADS)]
        try:
            for replica in replicas:
                ready(replica.port, replica.process)
            for thread in threads:
                thread.start()
            end = time.monotonic() + SECONDS
            while time.monotonic() < end and not failed:
                time.sleep(draw.uniform(0.5, 2.0))
                how = draw.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM])
                replica = draw.choice(replicas)
                replica.end(how)
                restarts[how.name] += 1
                time.sleep(draw.uniform(0.0, 1.0))
                replica.begin()
            over.set()
            for thread in threads:
                thread.join()
            assert failed == []
            for replica in replicas:  # once more all of ingestion is brought in, and each erases whom the others were asked to
                replica.end(signal.SIGTERM)
                replica.begin()
            logged = in_logs(replicas)
            until(lambda: not any(said.gone & in_logs(replicas).keys() for said in told))
            left = in_logs(replicas)
            with redis.RedisCluster(host="127.0.0.1", port=nodes[0]) as client:
                held = Held(client)
                clicks = {name: held.clicks(name) for name in names}
                items = held.items()
            complete_sizes = [redis.Redis(port=port).dbsize() for port in nodes]
        finally:
            over.set()
            for replica in replicas:
                replica.process.kill()
                replica.process.wait()
        wanted = {
            name: said.clicks[name] + (0 if name in said.forgotten else PAST)
            for thread, said in enumerate(told)
            for name in shoppers_of(thread)
        }
        acknowledged = sum(sum(said.items.values()) for said in told)
        print(
            f"{acknowledged} clicks and {sum(len(said.forgotten) for said in told)} shoppers forgotten in {SECONDS:.0f} s, by "
            f"{sum(said.tries for said in told)} calls; restarts: {dict(restarts)}; keys by node: {complete_sizes}"
        )
        assert clicks == wanted
        assert items == sum((said.items for said in told), Counter({"p0": PAST * len(names)}))
        assert all(requests <= logged.keys() & left.keys() for said in told for requests in said.requests.values())


class Held:
    """What the cluster holds, read without a service."""

    def __init__(self, client: redis.RedisCluster) -> None:
        self._plans = plans_of(dataset())
        self._states = RedisStates(client, shop="little", plans=self._plans, codes=ItemCodes(ITEMS), ttl_s=1000)

    def clicks(self, shopper: str) -> int:
        """Clicks of a shopper."""
        known = self._states.known(shopper, [], T_US)
        return int(known.user.values[0, raw_names(self._plans.users).index("total_click")])

    def items(self) -> Counter[str]:
        """Clicks of each product."""
        known = self._states.known("", ITEMS, T_US).items
        assert known is not None
        assert self._plans.items is not None
        of = known.values[:, raw_names(self._plans.items).index("total_click")]
        return Counter({item: int(count) for item, count in zip(ITEMS, of, strict=True) if count})
