"""A service that writes its events to a stream: of Redis, and of Kafka's mock cluster."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from confluent_kafka import Producer

from components.contract.errors import InputError
from serving.exposure.pseudonym import pseudonym
from serving.service.settings import Locations
from serving.service.state import event_intake
from tests.serving.service.conftest import Started
from tests.serving.service.little_shop import ITEMS
from tests.serving.state.private_redis import private_redis
from tests.serving.stream.producers.mock_kafka import mock_kafka, stored

CLICK = {"shopper": "a", "action": "click", "item": "p1", "request": "r1"}
EXPERIMENTS = """\
salt: autumn
layers:
  - name: ranker
    experiments:
      - {name: test, traffic: 100%, arms: [{name: control, share: 50%}, {name: other, share: 50%, model: stable}]}
"""


@pytest.fixture
def server() -> Iterator[redis.Redis]:
    with private_redis() as client:
        yield client


def places(client: redis.Redis, **others: Any) -> dict[str, Any]:
    port = client.connection_pool.connection_kwargs["port"]
    return {"redis": f"redis://127.0.0.1:{port}/1", "events_to": f"redis://127.0.0.1:{port}/0?stream=clicks", **others}


def rows(client: redis.Redis) -> list[dict[str, Any]]:
    return [json.loads(fields[b"value"]) for _, fields in client.xrange("clicks")]


def state_keys(client: redis.Redis, about: str) -> list[bytes]:
    """The keys of the state that name a shopper or a product."""
    port = client.connection_pool.connection_kwargs["port"]
    with redis.Redis(port=port, db=1) as state:
        return sorted(key for key in state.scan_iter() if about.encode() in key)


def wait_for(client: redis.Redis, count: int) -> list[dict[str, Any]]:
    until_s = time.monotonic() + 60
    while len(found := rows(client)) < count:
        assert time.monotonic() < until_s, found
        time.sleep(0.02)
    return found


def test_events_are_rows_of_the_log_under_the_shoppers_pseudonym_and_leave_the_state_alone(started: Started, server: redis.Redis) -> None:
    salt = bytes(range(16))
    service = started(places=places(server), salt=salt)
    shown = {"request": "r9", "session": "s1", "items": ["p2", "p3"]}
    body = {"impressions": [shown], "interactions": [{**CLICK, "revenue": 2.5}, {"action": "click", "item": "p1", "request": "r7"}]}
    assert service.post("/v1/events", body).json == {"accepted": 3}
    found = rows(server)
    mine = pseudonym("a", salt)
    assert [(row["user"], row["session"]) for row in found] == [(None, "s1"), (None, "s1"), (mine, None), (None, None)]
    assert [row["action"] for row in found] == ["impression", "impression", "click", "click"]
    assert found[2] | {"time": 0} == {
        **{"time": 0, "user": mine, "item": "p1", "action": "click", "request": "r1", "session": None, "position": None},
        **{"revenue": 2.5, "quantity": None, "dev": None, "taste": None, "shown_price": None, "look": None, "badges": None, "ruled": None},
    }
    assert state_keys(server, mine) + state_keys(server, "p1") == []
    assert service.counted('shelfrank_log_records{fate="interactions_committed"}') == 4


def test_a_rankings_list_comes_with_version_and_arms_and_leaves_the_state_alone(
    started: Started, server: redis.Redis, tmp_path: Path
) -> None:
    (tmp_path / "experiments.yaml").write_text(EXPERIMENTS)
    service = started(places=places(server, experiments=tmp_path / "experiments.yaml", log=tmp_path / "log"))
    answer = service.rank(*ITEMS, shopper="ann-4711", places=3)
    found = wait_for(server, 3)
    assert [(row["item"], row["position"]) for row in found] == list(zip(answer["order"][:3], range(3), strict=True))
    assert {(row["request"], row["version"]) for row in found} == {(answer["request"], "2")}
    assert [json.loads(row["arms"]) for row in found] == [answer["arms"]] * 3
    assert state_keys(server, "ann-4711") == []
    until_s = time.monotonic() + 60
    while service.counted('shelfrank_log_records{fate="exposures_written"}') < 1:
        assert time.monotonic() < until_s
        time.sleep(0.02)
    service.stop()
    # The files keep what isn't an event: decisions.
    kinds = {path.name.partition("-")[0] for path in (tmp_path / "log").iterdir() if path.suffix == ".jsonl"}
    assert kinds == {"decisions"}


def test_a_list_that_the_page_reports_comes_with_the_arms_of_its_ranking(started: Started, server: redis.Redis, tmp_path: Path) -> None:
    (tmp_path / "experiments.yaml").write_text(EXPERIMENTS)
    service = started(places=places(server, experiments=tmp_path / "experiments.yaml"))
    answer = service.rank(*ITEMS, shopper="ann-4711")
    shown = {"request": answer["request"], "shopper": "ann-4711", "items": answer["order"][:2]}
    assert service.post("/v1/events", {"impressions": [shown], "interactions": [CLICK]}).status == 200
    *impressions, click = rows(server)
    assert [json.loads(row["arms"]) for row in impressions] == [answer["arms"]] * 2
    assert "arms" not in click


def test_a_stream_that_takes_nothing_refuses_events_and_rankings_go_on(started: Started, server: redis.Redis) -> None:
    service = started(places=places(server))
    server.config_set("maxmemory", 1)
    refused = service.post("/v1/events", {"interactions": [CLICK]})
    assert refused.status == 503
    assert "Redis has no memory left for events" in refused.body.decode()
    assert service.rank(*ITEMS, shopper="a", places=3)["rung"] == "model"
    until_s = time.monotonic() + 60
    while service.counted('shelfrank_log_records{fate="exposures_dropped_undelivered"}') < 1:
        assert time.monotonic() < until_s
        time.sleep(0.02)
    assert service.counted('shelfrank_failing{what="log"}') == 1
    server.config_set("maxmemory", 0)
    assert service.post("/v1/events", {"interactions": [CLICK]}).status == 200
    assert service.counted('shelfrank_failing{what="log"}') == 0
    assert [row["action"] for row in rows(server)] == ["click"]


def test_an_invalid_event_sends_none_of_its_call(started: Started, server: redis.Redis) -> None:
    service = started(places=places(server))
    assert service.post("/v1/events", {"interactions": [CLICK, {**CLICK, "action": "no such"}]}).status == 400
    large = {**CLICK, "context": {"device": "x" * (1 << 20)}}
    answer = service.post("/v1/events", {"interactions": [CLICK, large]})
    assert answer.status in (400, 413)
    assert rows(server) == []


def test_an_event_beyond_the_streams_limit_is_the_callers_fault(started: Started, server: redis.Redis) -> None:
    service = started(places=places(server), body_bytes=4 << 20)
    answer = service.post("/v1/events", {"interactions": [CLICK, {**CLICK, "context": {"device": "x" * (1 << 20)}}]})
    assert answer.status == 400
    assert "expected events of at most 1,048,576 bytes for the stream" in answer.body.decode()
    assert rows(server) == []


def test_a_shopper_is_forgotten_in_the_state_as_ever(started: Started, server: redis.Redis) -> None:
    records, streams = started(places=places(server, events_to="")), started(places=places(server))
    assert records.post("/v1/events", {"interactions": [{**CLICK, "shopper": "ann-4711"}]}).status == 200
    known = state_keys(server, "ann-4711")
    assert known
    assert streams.call("DELETE", "/v1/shoppers/ann-4711").status == 204
    left = state_keys(server, "ann-4711")
    assert not set(known) & set(left)
    # A late event of theirs finds the tombstone.
    late = {**CLICK, "shopper": "ann-4711", "time_us": time.time_ns() // 1000 - 60_000_000}
    assert records.post("/v1/events", {"interactions": [late]}).status == 200
    assert state_keys(server, "ann-4711") == left


def test_replicas_share_one_topic_in_the_order_of_a_shoppers_calls(started: Started, server: redis.Redis) -> None:
    with mock_kafka() as brokers:
        shared = places(server, events_to=f"kafka://{brokers}/clicks")
        replicas = [started(places=shared) for _ in range(2)]
        for number in range(12):
            assert replicas[number % 2].post("/v1/events", {"interactions": [{**CLICK, "item": f"p{number % 6}"}]}).status == 200
        found = stored(brokers, "clicks", 12)
        assert [json.loads(value)["item"] for _, _, value in found] == [f"p{number % 6}" for number in range(12)]
        assert {(partition, key) for partition, key, _ in found} == {(found[0][0], "a")}
        for replica in replicas:
            replica.stop()


def test_a_broker_that_is_gone_refuses_events_within_the_time_of_a_call(started: Started, server: redis.Redis) -> None:
    cluster = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1})
    broker = cluster.list_topics(timeout=30).brokers[1]
    service = started(places=places(server, events_to=f"kafka://{broker.host}:{broker.port}/clicks"))
    assert service.post("/v1/events", {"interactions": [CLICK]}).status == 200
    del cluster
    refused = service.post("/v1/events", {"interactions": [CLICK]})
    assert refused.status == 503
    assert "send them again later" in refused.body.decode() or "send the events again later" in refused.body.decode()
    assert service.rank(*ITEMS, shopper="a", places=3)["rung"] == "model"
    assert event_intake.LOG_S > 4  # the broker's time is over first: its sentence says more


def test_a_state_in_memory_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected.*--redis|`--redis`"):
        Locations(dataset=tmp_path, state=tmp_path, model_server="h:1", model="m", events_to="kafka://h:1/t")
