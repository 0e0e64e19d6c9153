"""Whatever fails behind it, the service answers within the deadline, says that it is degraded, and counts it."""

import threading
import time

import grpc
import numpy as np
import pytest

from tests.serving.service.bad_model_servers import answering, free_port, hung, scores
from tests.serving.service.conftest import Started
from tests.serving.service.little_shop import ITEMS
from tests.serving.service.running import Service

SLACK_S = 0.25  # a busy machine's; the deadline itself is what the service aims at


def clicked(service: Service, *items: str) -> None:
    clicks = [{"action": "click", "item": item, "shopper": "b", "time_us": 1_770_000_000_000_000 + n} for n, item in enumerate(items)]
    assert service.post("/v1/events", {"interactions": clicks}).status == 200


def test_without_a_model_server_the_popular_come_first(started: Started) -> None:
    service = started(places={"model_server": f"127.0.0.1:{free_port()}"})
    assert service.rank(*ITEMS)["reason"] == "given (stable: unreachable)"
    clicked(service, "p3", "p1", "p3")
    answer = service.rank(*ITEMS)
    assert answer["order"] == ["p3", "p1", "p0", "p2", "p4", "p5"]
    assert (answer["rung"], answer["degraded"], answer["reason"]) == ("popularity", True, "popularity (stable: unreachable)")
    assert answer["version"] is None
    assert service.counted('shelfrank_ranked_total{label="stable",rung="popularity"}') == 1
    assert service.counted('shelfrank_degraded_total{reason="unreachable"}') == 2


def test_where_nothing_is_popular_the_order_given_stays(started: Started) -> None:
    answer = started(places={"model_server": f"127.0.0.1:{free_port()}"}).rank("p3", "p0", "p5")
    assert (answer["order"], answer["rung"]) == (["p3", "p0", "p5"], "given")


def test_a_hung_model_server_costs_the_deadline_and_then_no_time_at_all(started: Started) -> None:
    with hung() as (address, left):
        service = started(places={"model_server": address}, deadline_ms=200)
        for _ in range(5):
            began = time.perf_counter()
            answer = service.rank(*ITEMS)
            assert time.perf_counter() - began < 0.2 + SLACK_S
            assert answer["reason"] == "given (stable: timeout)"
        assert all(0 < seconds <= 0.2 for seconds in left)  # the server was told
        assert service.rank(*ITEMS)["reason"] == "given (stable: open)"
        assert service.get("/health/ready").json == {"ready": True, "failing": ["stable"]}
        assert service.counted('shelfrank_failing{what="stable"}') == 1
        assert service.counted('shelfrank_degraded_total{reason="timeout"}') == 5


def test_a_label_that_is_not_there_is_answered_by_the_previous_one(started: Started) -> None:
    service = started(label="gone", previous="previous")
    answer = service.rank(*ITEMS)
    assert answer["order"] == ITEMS  # the previous model likes what is cheap
    assert (answer["rung"], answer["version"], answer["label"]) == ("previous", 1, "gone")
    assert answer["reason"] == "previous (gone: refused)"


def test_a_hung_label_leaves_time_for_the_previous_one(started: Started) -> None:
    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        if b"stable" in request:
            time.sleep(1)
        return scores([[0.0, 1.0]])

    with answering(answer) as address:
        service = started(places={"model_server": address}, previous="before", deadline_ms=500)
        found = service.rank("p0", "p1")
        assert (found["order"], found["reason"]) == (["p1", "p0"], "previous (stable: timeout)")


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xff\xff rubbish",
        b"",
        scores([[1.0]]),  # too few
        scores([0.0, 1.0]),
        scores([[0.0, float("nan")]]),
        scores([[1, 2]], np.int64),
        scores([[0.0, 1.0]], name="others"),
    ],
)
def test_rubbish_is_no_score(started: Started, body: bytes) -> None:
    with answering(lambda *_: body) as address:
        service = started(places={"model_server": address})
        found = service.rank("p0", "p1")
        assert (found["order"], found["reason"]) == (["p0", "p1"], "given (stable: rubbish)")
        assert service.counted('shelfrank_degraded_total{reason="rubbish"}') == 1


def test_scores_that_are_no_numbers_are_refused_from_a_real_model(started: Started) -> None:
    assert started(label="nan").rank("p0", "p1")["reason"] == "given (nan: rubbish)"


def test_a_server_that_could_not_be_reached_for_a_moment_is_asked_once_more(started: Started) -> None:
    calls = []

    def flaky(_: bytes, context: grpc.ServicerContext) -> bytes:
        calls.append(1)
        if len(calls) == 1:
            context.abort(grpc.StatusCode.UNAVAILABLE, "restarting")
        return scores([[0.0, 1.0]])

    with answering(flaky) as address:
        assert started(places={"model_server": address}).rank("p0", "p1")["rung"] == "model"
    assert len(calls) == 2


def test_a_server_that_refuses_is_not_asked_again(started: Started) -> None:
    calls = []

    def refusing(_: bytes, context: grpc.ServicerContext) -> bytes:
        calls.append(1)
        context.abort(grpc.StatusCode.INTERNAL, "no")
        return b""

    with answering(refusing) as address:
        assert started(places={"model_server": address}).rank("p0", "p1")["reason"] == "given (stable: refused)"
    assert len(calls) == 1


def test_a_model_that_answers_again_is_asked_again(started: Started) -> None:
    well = threading.Event()

    def answer(_: bytes, context: grpc.ServicerContext) -> bytes:
        return scores([[0.0, 1.0]]) if well.is_set() else b"\xff rubbish"

    with answering(answer) as address:
        service = started(places={"model_server": address})
        while service.rank("p0", "p1")["reason"] != "given (stable: open)":
            pass
        well.set()
        assert service.rank("p0", "p1")["rung"] == "given"
        time.sleep(1.1)  # as long as the breaker stays open
        assert [service.rank("p0", "p1")["rung"] for _ in range(2)] == ["model", "model"]
