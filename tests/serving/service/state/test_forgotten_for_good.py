"""Whatever is loaded after a shopper was forgotten, and wherever: he is a stranger until he comes again."""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from serving.service import lifespan
from serving.service.state.event_intake import EventIntake
from tests.serving.service.conftest import Shop, Started
from tests.serving.service.little_shop import ITEMS
from tests.serving.service.running import Service
from tests.serving.service.state.test_large_event_calls import in_log, port_of, until
from tests.serving.service.state.test_restarts import SALT, as_killed, click, ingested, took
from tests.serving.state.private_redis import private_redis


@pytest.fixture
def store() -> Iterator[redis.Redis]:
    with private_redis() as client:
        yield client


def stranger(service: Service, shopper: str) -> bool:
    scores: list[float] = service.rank(*ITEMS, shopper=shopper)["scores"]
    return scores == service.rank(*ITEMS, shopper="nobody")["scores"]


def forget(service: Service, shopper: str) -> None:
    assert service.call("DELETE", f"/v1/shoppers/{shopper}").status == 204


@pytest.mark.parametrize("salt", [None, SALT], ids=["ids", "salted"])
def test_no_old_snapshot_brings_him_back(started: Started, tmp_path: Path, salt: bytes | None) -> None:
    places = {"log": tmp_path / "log", "snapshot": tmp_path / "snapshot"}
    first = started(places=places, salt=salt)
    took(first, *(click(name, n, "p1") for n in range(4) for name in "ab"))
    first.stop()
    shutil.copytree(places["snapshot"], tmp_path / "old")
    second = started(places=places, salt=salt)
    assert not stranger(second, "a")
    forget(second, "a")
    killed = as_killed(places, tmp_path / "killed")
    second.stop()
    for where in (places, killed):
        if where is places:
            shutil.rmtree(where["snapshot"])
            shutil.copytree(tmp_path / "old", where["snapshot"])
        third = started(places=where, salt=salt)
        assert (stranger(third, "a"), stranger(third, "b")) == (True, False)
        third.post("/v1/events", {"interactions": [{"action": "click", "item": "p1", "shopper": "a"}]})
        third.stop()
        fourth = started(places=where, salt=salt)
        assert not stranger(fourth, "a")  # he came again
        fourth.stop()


def test_no_ingestion_brings_him_back_with_or_without_a_log(shop: Shop, started: Started, tmp_path: Path) -> None:
    state = ingested(shop, started, tmp_path, *(click(name, n, "p1") for n in range(4) for name in "ab"))
    for places in ({"log": tmp_path / "log"}, {"snapshot": tmp_path / "snapshot"}):
        first = started(places={**places, "state": state})
        assert not stranger(first, "a")
        forget(first, "a")
        first.stop()
        shutil.rmtree(tmp_path / "snapshot", ignore_errors=True)
        second = started(places={**places, "state": state}, page=True)
        assert (stranger(second, "a"), stranger(second, "b")) == (True, False)
        assert [each["id"] for each in second.get("/page/choices").json["shoppers"]] == ["b"]


def test_no_second_service_brings_him_back_into_redis(shop: Shop, started: Started, store: redis.Redis, tmp_path: Path) -> None:
    state = ingested(shop, started, tmp_path, *(click(name, n, "p1") for n in range(4) for name in "ab"))
    places = {"redis": f"redis://127.0.0.1:{port_of(store)}/0", "state": state, "load": True}
    first = started(places=places)
    assert not stranger(first, "a")
    forget(first, "a")
    second = started(places=places)
    assert [(stranger(each, "a"), stranger(each, "b")) for each in (first, second)] == [(True, False)] * 2


def test_services_that_share_a_log_or_a_redis_learn_of_it(
    started: Started, store: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifespan, "ERASING_EVERY_S", 0.05)
    one, other = (started(places={"log": tmp_path / "shared"}) for _ in range(2))
    took(other, click("a", 1, "p1"))
    assert not stranger(other, "a")
    forget(one, "a")
    until(lambda: stranger(other, "a"))
    url = f"redis://127.0.0.1:{port_of(store)}/0"
    one, other = (started(places={"log": tmp_path / name, "redis": url}) for name in ("one", "other"))
    took(other, click("a", 1, "p1"), click("b", 1, "p1"))
    forget(one, "a")
    until(lambda: list((tmp_path / "other").glob("*.forget")))
    other.stop()  # its file is complete
    started(places={"log": tmp_path / "other", "redis": url})
    until(lambda: in_log(tmp_path / "other") == 1)


def test_who_is_forgotten_is_named_in_no_file_that_others_may_read(started: Started, tmp_path: Path) -> None:
    service = started(places={"log": tmp_path})
    took(service, click("shopper-17", 1))
    forget(service, "shopper-17")
    named = [path for path in tmp_path.iterdir() if path.name.endswith((".forget", ".forgotten"))]
    assert sorted(path.suffix for path in named) == [".forget", ".forgotten"]
    assert {path.stat().st_mode & 0o777 for path in named} == {0o600}
    (tombstone,) = (path for path in named if path.suffix == ".forgotten")
    assert "shopper-17" not in tombstone.name + tombstone.read_text()


def test_no_fault_of_the_service_names_a_shopper_in_its_log(
    started: Started, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(_: EventIntake, shopper: str, **__: Any) -> None:
        raise KeyError(shopper)

    monkeypatch.setattr(EventIntake, "forget", broken)
    service = started()
    with caplog.at_level(logging.INFO):
        assert service.call("DELETE", "/v1/shoppers/shopper-17").status == 500
    (record,) = (record for record in caplog.records if record.name == "serving.service.http.error_responses")
    assert "DELETE /v1/shoppers/{shopper:whole}: KeyError" in record.getMessage()
    assert "shopper-17" not in caplog.text
