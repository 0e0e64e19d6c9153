"""Limits: calls of one client, and requests that wait for the model."""

import threading

import grpc
import pytest

from components.contract.errors import InputError
from serving.service import rate_limit
from serving.service.messages import message_class
from serving.service.rate_limit import RateLimiter
from serving.service.settings import Settings
from tests.serving.service.bad_model_servers import hung
from tests.serving.service.both_doors import both_doors
from tests.serving.service.conftest import Shop, Started

CLICK = {"interactions": [{"action": "click", "item": "p0", "shopper": "a", "time_us": 1_770_000_000_000_000}]}
ASKED = message_class("RankRequest")(candidates=["p0"]).SerializeToString()


def test_a_bucket_gives_a_burst_and_then_its_rate() -> None:
    limit = RateLimiter(5.0)  # ten at once
    assert [limit.wait_s("a", 100.0) for _ in range(11)] == [0.0] * 10 + [1 / 5]
    assert limit.wait_s("b", 100.0) == 0.0  # another's is its own
    assert limit.wait_s("a", 100.1) == pytest.approx(0.1)
    assert limit.wait_s("a", 100.2) == 0.0
    assert [limit.wait_s("a", 200.0) for _ in range(11)].count(0.0) == 10  # no more than a burst after a long time


def test_a_slow_rate_lets_one_through_at_a_time() -> None:
    limit = RateLimiter(0.1)
    assert [limit.wait_s("a", 0.0), limit.wait_s("a", 4.0), limit.wait_s("a", 10.0)] == [0.0, pytest.approx(6.0), 0.0]


def test_without_a_rate_nothing_is_counted() -> None:
    limit = RateLimiter(0.0)
    assert {limit.wait_s("a", 0.0) for _ in range(1_000)} == {0.0}


def test_only_so_many_clients_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "MOST_CLIENTS", 3)
    limit = RateLimiter(0.5)
    assert [limit.wait_s(name, 0.0) for name in "abc"] == [0.0] * 3
    assert limit.wait_s("a", 0.0) > 0  # heard of last
    assert limit.wait_s("d", 0.0) == 0.0  # and b is forgotten
    assert (limit.wait_s("a", 0.0) > 0, limit.wait_s("b", 0.0)) == (True, 0.0)


def test_who_calls_too_often_is_told_when_to_come_again_at_both_doors_together(shop: Shop) -> None:
    with both_doors(shop, asks_per_s=0.02, tells_per_s=0.02) as doors, grpc.insecure_channel(doors.address) as channel:
        assert doors.rest.post("/v1/rank", {"candidates": ["p0"]}).status == 200
        answer = doors.rest.post("/v1/rank", {"candidates": ["p0"]})
        assert (answer.status, list(answer.json)) == (429, ["error"])
        assert 40 <= int(answer.headers["retry-after"]) <= 50
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary("/shelfrank.v1.Ranking/Rank")(ASKED, timeout=20)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert 40_000 <= int(dict(caught.value.trailing_metadata())["grpc-retry-pushback-ms"]) <= 50_000
        assert [doors.rest.post("/v1/events", CLICK).status for _ in range(2)] == [200, 429]  # writing is counted apart
        assert doors.rest.call("DELETE", "/v1/shoppers/a").status == 429
        assert doors.rest.get("/health/ready").status == 200


def test_who_has_the_token_is_another_client_than_his_address(started: Started) -> None:
    service = started(token="secret", tells_per_s=0.02)
    assert [service.post("/v1/events", CLICK, token=token).status for token in ("wrong", "wrong", "secret", "secret")] == [
        401, 429, 200, 429,
    ]  # fmt: skip


def test_a_forwarded_address_is_believed_of_a_known_proxy_only(shop: Shop) -> None:
    def statuses(*, proxies: tuple[str, ...]) -> list[str]:
        with both_doors(shop, asks_per_s=0.02, proxies=proxies) as doors, grpc.insecure_channel(doors.address) as channel:
            rank, found = channel.unary_unary("/shelfrank.v1.Ranking/Rank"), []
            for address in ("9.9.9.9, 1.1.1.1", "9.9.9.9, 2.2.2.2", "8.8.8.8, 2.2.2.2"):
                call = rank.future(ASKED, timeout=20, metadata=(("x-forwarded-for", address),))
                found.append(call.code().name)
            return found

    assert statuses(proxies=()) == ["OK", "RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED"]
    assert statuses(proxies=("127.0.0.1",)) == ["OK", "OK", "RESOURCE_EXHAUSTED"]


def test_a_request_beyond_those_that_wait_for_the_model_is_answered_without_it(started: Started) -> None:
    with hung() as (address, left):
        service = started(places={"model_server": address}, most_at_once=1, deadline_ms=4_000)
        first: list[str] = []
        waiting = threading.Thread(target=lambda: first.append(service.rank("p0", "p1")["reason"]))
        waiting.start()
        while not left:
            pass
        answer = service.rank("p0", "p1")
        assert (answer["order"], answer["rung"], answer["reason"]) == (["p0", "p1"], "given", "given (stable: busy)")
        assert service.counted('shelfrank_degraded_total{reason="busy"}') == 1
        waiting.join()
        assert first == ["given (stable: timeout)"]
    assert "busy" not in service.rank("p0", "p1")["reason"]


@pytest.mark.parametrize("wrong", [{"asks_per_s": -1}, {"tells_per_s": float("nan")}, {"most_at_once": 0}])
def test_limits_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError):
        Settings(**wrong)  # type: ignore[arg-type]
