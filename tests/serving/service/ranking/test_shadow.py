"""A label asked in the shadow: compared and counted, and the answer is what it would be without."""

import asyncio
import http.client
import json
import threading
import time
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from serving.client.model import ModelClient
from serving.features.request import Request
from serving.service.ranking.fallback_chain import Scored
from serving.service.ranking.shadow import MOST, TIMEOUT_S, Shadow, overlap
from tests.serving.service.bad_model_servers import answering, hung, scores
from tests.serving.service.conftest import Started
from tests.serving.service.little_shop import ITEMS, PRICES
from tests.serving.service.running import Service


def until(service: Service, sample: str, value: float) -> None:
    end = time.monotonic() + 10
    while service.counted(sample) != value:
        assert time.monotonic() < end, service.get("/metrics").body.decode()
        time.sleep(0.02)


def test_the_shadows_scores_are_compared_and_the_answer_and_the_log_are_the_models(started: Started, tmp_path: Path) -> None:
    service = started(places={"log": tmp_path}, shadow="previous", shadow_share=1.0)
    answers = [service.rank(*ITEMS) for _ in range(3)]
    assert [(answer["order"], answer["version"], answer["degraded"]) for answer in answers] == [(ITEMS[::-1], 2, False)] * 3
    until(service, 'shelfrank_shadow_total{outcome="compared"}', 3)
    assert service.counted("shelfrank_shadow_overlap_sum") == 0  # it likes what is cheap, and half of the list counts
    assert service.counted("shelfrank_shadow_difference_sum") == pytest.approx(3 * np.mean(2 * np.log(PRICES)), abs=1e-5)
    assert service.counted("shelfrank_shadow_seconds_count") == 3
    service.stop()
    decisions, shadows = logged(tmp_path, "decisions"), logged(tmp_path, "shadows")
    assert [(decision["label"], decision["version"]) for decision in decisions] == [("stable", "2")] * 3
    # The shadow may have answered the second request before the first.
    assert sorted((shadow["time"], shadow["request"]) for shadow in shadows) == [
        (decision["time"], decision["request"]) for decision in decisions
    ]
    for shadow in shadows:
        assert (shadow["label"], shadow["version"]) == ("previous", "1")
        np.testing.assert_allclose(shadow["scores"], -np.log(PRICES), atol=1e-6)
    assert logged(tmp_path, "impressions") == logged(tmp_path, "interactions") == []


def logged(folder: Path, name: str) -> list[Any]:
    return [json.loads(line) for path in folder.glob(f"{name}-*.jsonl") for line in path.read_text().splitlines()]


def test_a_shadow_that_hangs_delays_nobody(started: Started) -> None:
    with answering(hanging_in_the_dark) as address:
        service = started(places={"model_server": address}, shadow="dark", shadow_share=1.0, deadline_ms=10_000)
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
        for _ in range(5):  # one after the other on one connection
            connection.request("POST", "/v1/rank", b'{"candidates": ["p0", "p1"]}', {"content-type": "application/json"})
            told = json.loads(connection.getresponse().read())
            assert (told["order"], told["rung"], told["degraded"]) == (["p1", "p0"], "model", False)
        connection.close()
        until(service, 'shelfrank_shadow_total{outcome="timeout"}', 5)
        assert 0 < service.counted('shelfrank_request_seconds_sum{door="rest",route="/v1/rank"}') < 5 * TIMEOUT_S
        assert service.get("/health/ready").json["failing"] == []


def test_what_comes_while_many_are_under_way_is_dropped_and_at_the_end_those_are_let_go_of() -> None:
    registry = CollectorRegistry()

    def counted(outcome: str) -> float:
        return registry.get_sample_value("shelfrank_shadow_total", {"outcome": outcome}) or 0.0

    async def offered(address: str) -> None:
        shadow = Shadow(ModelClient([address], "shop"), label="dark", share=1.0, registry=registry)
        request = Request(shopper="a", candidates=["p0", "p1"], time_us=1, request="r1")
        for _ in range(MOST + 5):
            shadow.offer(request, {"n": np.array([2])}, Scored(np.zeros(2), "model", 1))
        assert counted("dropped") == 5
        await asyncio.sleep(0.05)
        await shadow.close()

    with hung() as (address, _):
        asyncio.run(offered(address))
    assert counted("timeout") == 0


def test_only_the_share_of_requests_that_a_model_answered_is_sent(started: Started) -> None:
    service = started(shadow="previous", shadow_share=0.5)
    for number in range(40):
        service.rank("p0", "p1", request=f"r{number}")
    sent = 'shelfrank_shadow_total{outcome="compared"}'
    time.sleep(0.5)
    assert 8 <= service.counted(sent) <= 32
    before = service.counted(sent)
    degraded = started(label="gone", shadow="stable", shadow_share=1.0)
    assert degraded.rank("p0", "p1")["rung"] == "given"
    time.sleep(0.2)
    assert degraded.counted(sent) == 0
    assert service.counted(sent) == before


def test_a_shadow_that_answers_rubbish_is_counted_and_opens_nobody_elses_breaker(started: Started) -> None:
    service = started(shadow="nan", shadow_share=1.0)
    for _ in range(5):
        assert service.rank("p0", "p1")["rung"] == "model"
        time.sleep(0.05)
    until(service, 'shelfrank_shadow_total{outcome="rubbish"}', 5)
    assert service.get("/health/ready").json["failing"] == []


def test_the_overlap_of_two_orders_by_hand() -> None:
    one = np.arange(6.0)
    assert overlap(one, one) == 1
    assert overlap(one, -one) == 0
    assert overlap(one, np.array([0.0, 9, 0, 8, 7, 0])) == 2 / 3  # {5, 4, 3} and {1, 3, 4}
    assert overlap(np.zeros(30), np.zeros(30)) == 1
    assert overlap(np.arange(30.0), np.roll(np.arange(30.0), 4)) == 6 / 10  # the first ten are 20 to 29, and 20 to 23 went to 24 to 27
    assert overlap(np.array([1.0]), np.array([2.0])) == 1


def hanging_in_the_dark(request: bytes, context: grpc.ServicerContext) -> bytes:
    if b"dark" in request:
        ended = threading.Event()
        context.add_callback(ended.set)
        ended.wait(20)
    return scores([[0.0, 1.0]])
