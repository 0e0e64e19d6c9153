"""A call of a thousand events to a Redis that is not next door, and what state and log say when one of them fails."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis

from tests.serving.service.conftest import Started
from tests.serving.service.little_shop import ITEMS, PRICES
from tests.serving.service.running import Service
from tests.serving.state.private_redis import private_redis
from tests.serving.state.slow_link import slow_link

T_US = 1_770_000_000_000_000
EVENTS = 1_000
CALL = {"interactions": [{"action": "click", "item": ITEMS[n % 6], "shopper": f"u{n % 400}", "time_us": T_US + n} for n in range(EVENTS)]}


@pytest.fixture
def store() -> Iterator[redis.Redis]:
    with private_redis() as client:
        yield client


def port_of(store: redis.Redis) -> int:
    return int(store.connection_pool.connection_kwargs["port"])


def in_state(service: Service) -> int:
    """Clicks of all products: the model's score of a stranger is log(price) and the product's clicks."""
    answer = service.rank(*ITEMS)
    assert answer["reason"] == ""
    scores = dict(zip(answer["order"], answer["scores"], strict=True))
    return round(sum(scores[item] - np.log(price) for item, price in zip(ITEMS, PRICES, strict=True)))


def in_log(folder: Path) -> int:
    return sum(len(path.read_text().splitlines()) for path in folder.glob("interactions-*"))


def until(holds: Callable[[], Any]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_thousand_events_reach_a_redis_that_is_2_6_ms_away(started: Started, store: redis.Redis, tmp_path: Path) -> None:
    with slow_link(port_of(store), seconds=0.0026) as link:
        service = started(places={"redis": f"redis://127.0.0.1:{link.port}/0", "log": tmp_path})
        assert service.post("/v1/events", CALL).json == {"accepted": EVENTS}
        assert (in_state(service), in_log(tmp_path)) == (EVENTS, EVENTS)
        assert service.post("/v1/events", CALL).json == {"accepted": EVENTS}
        assert in_state(service) == EVENTS


@pytest.mark.parametrize("question", [1, 2], ids=["while it is read", "while it is set"])
def test_state_and_log_agree_that_a_call_failed_which_redis_works_off_later(
    started: Started, store: redis.Redis, tmp_path: Path, question: int
) -> None:
    with slow_link(port_of(store), seconds=0.0) as link:
        service = started(places={"redis": f"redis://127.0.0.1:{link.port}/0", "log": tmp_path})
        one = {"interactions": [{"action": "search", "shopper": "s"}]}
        assert service.post("/v1/events", one).status == 200  # connected, and the script is known
        link.held_from = link.round_trips + question
        small = {"interactions": CALL["interactions"][:50]}
        assert service.post("/v1/events", small).status == 503
        link.open.set()
        link.held_from = float("inf")
        until(lambda: not any(client["qbuf"] != "0" for client in store.client_list() if client["cmd"] != "client|list"))
        until(lambda: service.rank(*ITEMS)["reason"] == "")
        assert (in_state(service), in_log(tmp_path)) == (0, 1)
        until(lambda: service.post("/v1/events", small).status == 200)
        assert (in_state(service), in_log(tmp_path)) == (50, 51)


@pytest.mark.parametrize("where", ["memory", "redis"])
def test_what_the_log_refuses_is_not_in_the_state(started: Started, store: redis.Redis, tmp_path: Path, where: str) -> None:
    places = {"log": tmp_path / "log"} | ({"redis": f"redis://127.0.0.1:{port_of(store)}/0"} if where == "redis" else {})
    service = started(places=places)
    (tmp_path / "log").rename(tmp_path / "gone")
    assert service.post("/v1/events", CALL).status == 503
    assert in_state(service) == 0
    (tmp_path / "gone").rename(tmp_path / "log")
    assert service.post("/v1/events", CALL).status == 200
    assert (in_state(service), in_log(tmp_path / "log")) == (EVENTS, EVENTS)


def test_a_redis_that_takes_no_writes_keeps_nobody_from_being_known(started: Started, store: redis.Redis) -> None:
    service = started(places={"redis": f"redis://127.0.0.1:{port_of(store)}/0"})
    assert service.post("/v1/events", CALL).status == 200
    store.execute_command("ACL SETUSER", "default", "-evalsha")
    for n in range(8):
        assert service.post("/v1/events", {"interactions": [{**CALL["interactions"][0], "time_us": T_US - n - 1}]}).status == 503
    assert service.get("/health/ready").json["failing"] == ["state"]
    assert in_state(service) == EVENTS


def test_requests_that_make_no_sense_are_no_outage_of_the_store(started: Started, store: redis.Redis) -> None:
    service = started(places={"redis": f"redis://127.0.0.1:{port_of(store)}/0"})
    for _ in range(6):
        body = json.dumps({"candidates": ITEMS, "context": {"device": "\ud800"}}).encode()
        service.call("POST", "/v1/rank", body, {"content-type": "application/json"})
    assert service.rank(*ITEMS)["reason"] == ""
    assert service.get("/health/ready").json["failing"] == []
