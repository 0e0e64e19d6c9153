"""What fails is in the log in the failing server's own words, in what is failing, and in a metric whose labels nobody else can choose."""

import asyncio
import errno
import logging
import re
import shutil
import threading
import time
from pathlib import Path

import pytest

from components.contract.errors import InputError
from serving.client.failure_log import EVERY_S, MAX_KEYS, FailureLog
from serving.client.lru_cache import LruCache
from serving.exposure.rotating_file import RotatingFile
from serving.features.events import Changes, Interaction
from serving.service.messages import message_class
from serving.service.rate_limit import ConcurrencyLimit, RateExceeded
from serving.service.settings import Settings
from serving.service.state import empty_state
from serving.service.state.empty_state import EmptyState, is_empty
from serving.state.interface import plans_of
from serving.state.memory import MemoryStates
from tests.serving.service.bad_model_servers import free_port, hung
from tests.serving.service.both_doors import both_doors
from tests.serving.service.conftest import Shop, Started
from tests.serving.service.little_shop import ITEMS, catalogue, dataset
from tests.serving.state.private_redis import private_redis

CLICK = {"interactions": [{"action": "click", "item": "p0", "shopper": "a"}]}
WELL = {"ready": True, "failing": []}


def failing(service: object) -> list[str]:
    return service.get("/health/ready").json["failing"]  # type: ignore[attr-defined, no-any-return]


def test_a_model_that_the_server_has_not_is_said_in_its_words(started: Started, caplog: pytest.LogCaptureFixture) -> None:
    service = started(places={"model": "nonesuch"}, label="")
    for _ in range(6):
        assert service.rank(*ITEMS)["degraded"]
    said = [record.getMessage() for record in caplog.records if "nonesuch" in record.getMessage()]
    assert any("NOT_FOUND" in each and "newest" in each for each in said)
    assert len(said) <= 2  # one at the start, one of the requests: not one each
    assert failing(service) == ["newest"]
    assert service.counted('shelfrank_failing{what="newest"}') == 1
    assert service.counted('shelfrank_degraded_total{reason="refused"}') == 5


def test_a_model_that_gives_no_numbers_is_said(started: Started, caplog: pytest.LogCaptureFixture) -> None:
    service = started(label="nan")
    for _ in range(6):
        assert service.rank(*ITEMS)["degraded"]
    (said,) = [record.getMessage() for record in caplog.records if "can't be used" in record.getMessage()]
    assert "expected finite scores, got NaN or infinity" in said
    assert "nan, serving_default" in said
    assert failing(service) == ["nan"]


def test_a_failure_is_written_at_once_and_then_now_and_then_with_how_often(caplog: pytest.LogCaptureFixture) -> None:
    written = FailureLog(logging.getLogger("failures"))
    for second in range(int(EVERY_S)):
        written.note(("stable", "timeout"), "no answer", float(second))
        written.note(("canary", "timeout"), "no answer there", float(second))
    assert [record.getMessage() for record in caplog.records] == ["no answer", "no answer there"]
    written.note(("stable", "timeout"), "no answer", EVERY_S)
    assert caplog.records[-1].getMessage() == f"no answer ({int(EVERY_S) - 1} more since it was last written)"
    for number in range(3 * MAX_KEYS):  # whoever chooses keys can't fill the memory
        written.note((str(number),), "other", 0.0)
    assert len(written._written) == MAX_KEYS


def test_a_full_disk_is_failing_until_it_takes_lines_again(
    started: Started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    service = started(places={"log": tmp_path, "model_server": f"127.0.0.1:{free_port()}"})
    assert service.counted('shelfrank_failing{what="log"}') == 0

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(RotatingFile, "append", full)
        assert service.post("/v1/events", CLICK).status == 503
        assert "log" in failing(service)
        assert service.counted('shelfrank_failing{what="log"}') == 1
    assert any("No space left on device" in record.getMessage() for record in caplog.records)
    assert service.post("/v1/events", CLICK).status == 200
    assert "log" not in failing(service)
    assert service.counted('shelfrank_failing{what="log"}') == 0


def test_decisions_that_the_disk_refuses_are_failing_too(started: Started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = started(places={"log": tmp_path, "model_server": f"127.0.0.1:{free_port()}"})

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(RotatingFile, "append", full)
    service.rank("p0")
    until = time.monotonic() + 30  # the log's thread takes it when it likes
    while "log" not in failing(service):
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_store_that_knows_nobody_of_the_last_ingestion_is_empty(shop: Shop) -> None:
    items = catalogue(shop.state)
    states = MemoryStates(plans_of(dataset()), items.codes)
    now_us = time.time_ns() // 1000
    assert is_empty(states, dataset(), ["a", "b"], now_us=now_us)
    assert not is_empty(states, dataset(), [], now_us=now_us)  # then there is nothing to be missed
    click = Changes(dataset(), items).from_event(Interaction(shopper="b", action="click", time_us=now_us, item="p0"), now_us=now_us)
    assert click is not None
    states.record(click)
    assert not is_empty(states, dataset(), ["a", "b"], now_us=now_us)


def test_an_empty_redis_is_said_and_failing_until_the_state_is_there(
    shop: Shop, started: Started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(empty_state, "EVERY_S", 0.01)
    ingested = started(places={"snapshot": tmp_path / "state"})
    ingested.post("/v1/events", CLICK)
    ingested.stop()
    shutil.copytree(shop.state / "catalogue", tmp_path / "state" / "catalogue")
    with private_redis() as store:
        url = f"redis://127.0.0.1:{store.connection_pool.connection_kwargs['port']}/0"
        service = started(places={"redis": url, "state": tmp_path / "state"})
        wait_until(lambda: failing(service) == ["empty state"])
        assert service.counted('shelfrank_failing{what="empty state"}') == 1
        assert any("knows none of 1 shoppers of the last ingestion" in record.getMessage() for record in caplog.records)
        started(places={"redis": url, "state": tmp_path / "state", "load": True})
        wait_until(lambda: failing(service) == [])
        assert service.counted('shelfrank_failing{what="empty state"}') == 0
        service.stop()


def wait_until(holds: object) -> None:
    until = time.monotonic() + 30
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_store_that_does_not_answer_is_not_called_empty() -> None:
    class Gone:
        def known(self, *_: object, **__: object) -> None:
            raise ConnectionError

    async def looked() -> list[str]:
        found = EmptyState(Gone(), dataset(), ["a"])  # type: ignore[arg-type]
        task = asyncio.create_task(found.watch())
        await asyncio.sleep(0.05)
        assert not task.done()
        task.cancel()
        return found.failing()

    assert asyncio.run(looked()) == []


def test_versions_that_callers_name_make_no_series_and_no_breakers_of_their_own(started: Started) -> None:
    service = started(page=True)
    for version in range(100, 200):
        service.rank("p0", version=version)
    page = service.get("/metrics").body.decode()
    labels = set(re.findall(r'label="([^"]*)"', page)) | set(re.findall(r'what="([^"]*)"', page))
    assert "version" in labels
    assert not [label for label in labels if re.search(r"\d", label)]


def test_what_is_kept_by_a_key_of_the_callers_is_bounded() -> None:
    made = LruCache[int, list[int]](list, capacity=3)
    kept = made[1]
    kept.append(7)
    for key in (2, 3, 1, 4, 5):
        _ = made[key]
    assert [key for key, _ in made.items()] == [1, 4, 5]
    assert made[1] is kept


def test_explanations_at_a_time_are_bounded() -> None:
    limit = ConcurrencyLimit(2, "explanations")
    with limit.acquire(), limit.acquire(), pytest.raises(RateExceeded, match="at most 2 explanations at a time"), limit.acquire():
        pass
    with limit.acquire():  # those have ended
        pass


def test_an_explanation_too_many_is_told_to_come_again(started: Started) -> None:
    with hung() as (address, left):
        service = started(places={"model_server": address}, explain_at_once=1, explain_deadline_ms=20_000)
        first = threading.Thread(target=service.post, args=("/v1/explain", {"candidates": ["p0"]}))
        first.start()
        wait_until(lambda: left)  # it is under way
        answer = service.post("/v1/explain", {"candidates": ["p0"]})
        assert (answer.status, answer.headers["retry-after"]) == (429, "1")
        assert answer.json["error"].startswith("expected at most 1 explanations at a time, of all clients together")
        assert service.rank("p0")["order"] == ["p0"]  # which isn't held up by it
    first.join()


def test_an_explanation_of_too_many_products_is_refused(started: Started) -> None:
    answer = started(explain_candidates=2).post("/v1/explain", {"candidates": ITEMS})
    assert (answer.status, answer.json["error"][:60]) == (400, "expected at most 2 candidates to explain, got 6; each costs ")


def test_explain_may_need_the_token_at_both_doors(shop: Shop) -> None:
    import grpc

    asked = message_class("RankRequest")(candidates=["p0"]).SerializeToString()
    with both_doors(shop, token="secret", explain_needs_token=True, explain_deadline_ms=60_000) as doors:
        assert doors.rest.post("/v1/explain", {"candidates": ["p0"]}).status == 401
        assert doors.rest.post("/v1/explain", {"candidates": ["p0"]}, token="secret").status == 200
        with grpc.insecure_channel(doors.address) as channel:
            explain = channel.unary_unary("/shelfrank.v1.Ranking/Explain")
            with pytest.raises(grpc.RpcError) as refused:
                explain(asked, timeout=60)
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
            assert explain(asked, timeout=60, metadata=(("authorization", "Bearer secret"),))
    with both_doors(shop, token="secret", explain_deadline_ms=60_000) as doors:
        assert doors.rest.post("/v1/explain", {"candidates": ["p0"]}).status == 200


def test_a_token_that_is_not_there_cannot_be_needed() -> None:
    with pytest.raises(InputError, match="set SHELFRANK_TOKEN"):
        Settings(explain_needs_token=True)
