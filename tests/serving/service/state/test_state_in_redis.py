"""The service over Redis: state that outlives it, and answers when Redis doesn't."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import redis

from components.contract.errors import InputError
from serving.service.lifespan import load_files
from serving.service.settings import Locations, Settings
from serving.service.state.opened_state import open_state
from serving.service.state.redis_password import redis_password
from tests.serving.service.conftest import Shop, Started
from tests.serving.service.little_shop import ITEMS
from tests.serving.state.private_cluster import private_cluster
from tests.serving.state.private_redis import private_redis

CLICKS = {"interactions": [{"action": "click", "item": "p1", "shopper": "b", "time_us": 1_770_000_000_000_000 + n} for n in range(3)]}


@pytest.fixture
def store() -> Iterator[redis.Redis]:
    with private_redis() as client:
        yield client


def url(store: redis.Redis) -> str:
    return f"redis://127.0.0.1:{store.connection_pool.connection_kwargs['port']}/0"


def test_what_one_service_was_told_another_knows(started: Started, store: redis.Redis) -> None:
    one, other = (started(places={"redis": url(store)}) for _ in range(2))
    assert other.rank(*ITEMS)["order"][0] == "p5"
    assert one.post("/v1/events", CLICKS).status == 200
    assert other.rank(*ITEMS)["order"][0] == "p1"
    assert other.call("DELETE", "/v1/shoppers/b").status == 204


def test_the_ingestions_state_is_brought_into_redis_and_live_keys_stay(
    shop: Shop, started: Started, store: redis.Redis, tmp_path: Path
) -> None:
    live = started(places={"redis": url(store)})
    live.post("/v1/events", {"interactions": [{"action": "click", "item": "p0", "shopper": "a"}]})
    ingested = started(places={"snapshot": tmp_path / "state"})  # a snapshot looks like ingestion's state, but for the catalogue
    ingested.post("/v1/events", CLICKS)
    ingested.post("/v1/events", {"interactions": [{"action": "click", "item": "p0", "shopper": "b"}] * 9})
    ingested.stop()
    shutil.copytree(shop.state / "catalogue", tmp_path / "state" / "catalogue")
    before = live.rank("p0", "p1")
    after = started(places={"redis": url(store), "load": True, "state": tmp_path / "state"}).rank("p0", "p1")
    assert dict(zip(before["order"], before["scores"], strict=True))["p1"] == pytest.approx(np.log(20), abs=1e-6)
    scores = dict(zip(after["order"], after["scores"], strict=True))
    assert scores == pytest.approx({"p0": np.log(10) + 1, "p1": np.log(20) + 3}, abs=1e-6)


def test_while_redis_hangs_shoppers_are_strangers_and_events_are_not_acknowledged(started: Started, store: redis.Redis) -> None:
    service = started(places={"redis": url(store)}, deadline_ms=500)
    assert service.rank(*ITEMS)["reason"] == ""
    store.client_pause(4_000)
    for _ in range(5):
        began = time.perf_counter()
        answer = service.rank(*ITEMS)
        assert time.perf_counter() - began < 0.75
        assert (answer["rung"], answer["degraded"], answer["reason"]) == ("model", True, "state")
    assert service.get("/health/ready").json["failing"] == ["state"]
    assert service.counted('shelfrank_degraded_total{reason="state"}') == 5
    answer = service.post("/v1/events", CLICKS)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")


def test_when_redis_is_gone_orders_go_on_and_forgetting_is_refused(started: Started, store: redis.Redis) -> None:
    service = started(places={"redis": url(store)})
    store.shutdown(nosave=True)
    for _ in range(8):
        assert service.rank(*ITEMS)["reason"] == "state"
    assert service.call("DELETE", "/v1/shoppers/b").status == 503


def test_services_share_a_redis_cluster(started: Started) -> None:
    with private_cluster() as nodes:
        one, other = (started(places={"redis": f"redis://127.0.0.1:{node}/0", "redis_cluster": True}) for node in nodes[:2])
        assert one.post("/v1/events", CLICKS).status == 200
        assert other.rank(*ITEMS)["order"][0] == "p1"
        known = other.rank(*ITEMS, shopper="b")["scores"]
        assert one.call("DELETE", "/v1/shoppers/b").status == 204
        assert other.rank(*ITEMS, shopper="b")["scores"] != known
        assert other.rank(*ITEMS, shopper="b")["reason"] == ""


def test_a_cluster_that_is_none_is_refused(shop: Shop, store: redis.Redis) -> None:
    where = Locations(dataset=shop.dataset, state=shop.state, model_server="x:1", model="shop", redis=url(store), redis_cluster=True)
    found = load_files(where)
    with pytest.raises(InputError, match="expected a node of a Redis Cluster at --redis"):
        open_state(Settings(), where, found.dataset, found.catalogue)


def test_a_password_opens_redis(started: Started, store: redis.Redis) -> None:
    with_it, without = (started(places={"redis": url(store), "redis_password": word}) for word in ("secret", ""))
    store.config_set("requirepass", "secret")
    store.client_kill_filter(_type="normal", skipme=True)
    store.auth("secret")
    assert with_it.rank(*ITEMS)["reason"] == ""
    assert without.rank(*ITEMS)["reason"] == "state"


def test_the_password_comes_from_the_environment_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "password"
    file.write_text("of the file\nanother line\n")
    assert (redis_password(None), redis_password(file)) == ("", "of the file")
    monkeypatch.setenv("SHELFRANK_REDIS_PASSWORD", "of the environment")
    assert redis_password(None) == "of the environment"
    with pytest.raises(InputError, match="got both; leave one out"):
        redis_password(file)
