"""What the service sends to its model servers: lists at few lengths, equal requests once where it may, and elsewhere where one is gone."""

import signal
import threading
import time
from typing import Any

import numpy as np
import pytest

from components.contract.errors import InputError
from serving.client.messages import PredictRequest
from serving.client.tensors import read
from serving.service.settings import Locations, Settings
from tests.serving.service.bad_model_servers import answering, free_port, scores
from tests.serving.service.conftest import Shop, Started, service_of
from tests.serving.service.little_shop import ITEMS
from tests.serving.service.running import running
from tests.serving.service.test_faults_under_load import model_server, until_rung

RELOADED_MS = 2_000.0


class Recording:
    """A model that scores each candidate by its place, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.version = 1

    def __call__(self, message: bytes, _: Any) -> bytes:
        tensors = {named.key: read(named.value) for named in PredictRequest.FromString(message).inputs}
        self.asked.append(tensors)
        return scores([np.arange(tensors["price"].shape[1])], version=self.version)


def early_in_a_step() -> None:
    """Waits until what comes now is at the same moment, once rounded."""
    step_s = RELOADED_MS / 1e3
    while time.time() % step_s > step_s / 4:
        time.sleep(0.01)


def test_lists_are_sent_at_the_lengths_of_the_dataset_file_and_histories_at_their_full_one(started: Started) -> None:
    model = Recording()
    with answering(model) as address:
        service = started(places={"model_server": address})
        for length, sent in ((1, 10), (10, 10), (11, 20), (201, 400)):
            items = [f"new{number}" for number in range(length)]
            assert service.rank(*items)["order"] == items[::-1]
            tensors = model.asked[-1]
            assert {tensors[name].shape for name in ("tags", "brand", "price", "item_clicks")} == {(1, sent)}
            assert (tensors["n_candidates"].tolist(), tensors["history_price"].shape) == ([length], (1, 5))


def test_a_page_that_is_loaded_again_is_not_scored_again_where_that_is_allowed(started: Started) -> None:
    model = Recording()
    with answering(model) as address:
        service = started(places={"model_server": address}, reuse_ms=RELOADED_MS)
        clicks = [{"action": "click", "item": "p1", "shopper": "b", "time_us": 1_770_000_000_000_000}]
        assert service.post("/v1/events", {"interactions": clicks}).status == 200
        early_in_a_step()
        first, again = (service.rank(*ITEMS, shopper="b") for _ in range(2))
        assert (again["order"], again["scores"], again["version"]) == (first["order"], first["scores"], 1)
        assert again["request"] != first["request"]
        assert len(model.asked) == 1
        assert service.counted('shelfrank_model_total{what="cached"}') == 1
        service.rank(*ITEMS, shopper="a")
        service.rank(*ITEMS[:5], shopper="b")
        service.rank(*ITEMS, shopper="b", context={"device": "mobile"})
        assert len(model.asked) == 4  # another shopper, list, context
        model.version = 2
        assert service.rank("p0", shopper="a")["version"] == 2
        assert service.rank(*ITEMS, shopper="b")["version"] == 2  # and not what the version before said
        number = len(model.asked)
        clicks = [{"action": "click", "item": "p1", "shopper": "b", "time_us": 1_770_000_000_000_001}]
        assert service.post("/v1/events", {"interactions": clicks}).status == 200
        service.rank(*ITEMS, shopper="b")
        assert len(model.asked) == number + 1


def test_by_default_each_request_is_scored(started: Started) -> None:
    model = Recording()
    with answering(model) as address:
        service = started(places={"model_server": address})
        for _ in range(3):
            service.rank("p0", "p1")
    assert len(model.asked) == 3


def test_a_moment_is_rounded_up_and_never_down(started: Started) -> None:
    model = Recording()
    with answering(model) as address:
        service = started(places={"model_server": address}, reuse_ms=RELOADED_MS)
        now_us = time.time_ns() // 1000
        clicks = [{"action": "click", "item": "p1", "shopper": "b", "time_us": now_us}]
        assert service.post("/v1/events", {"interactions": clicks}).status == 200
        service.rank(*ITEMS, shopper="b")
    moment_s = float(model.asked[0]["history_age_s"][0, 0]) + now_us / 1e6
    assert moment_s >= now_us / 1e6
    step_s = RELOADED_MS / 1e3
    assert abs(moment_s / step_s - round(moment_s / step_s)) < 0.01


@pytest.mark.slow
def test_one_of_two_replicas_killed_and_another_halted_under_load_degrades_no_answer(shop: Shop) -> None:
    (shop.models.parent / "one").mkdir(exist_ok=True)
    link = shop.models.parent / "one" / "2"
    if not link.exists():
        link.symlink_to(shop.models / "2")
    ports = (free_port(), free_port())
    processes = [model_server(shop, port) for port in ports]
    answers: list[Any] = []
    over = threading.Event()

    def ask(service: Any) -> None:
        while not over.is_set():
            answers.append(service.rank("p0", "p1", "p2"))

    places = {"model_server": f"127.0.0.1:{ports[0]}", "replicas": (f"127.0.0.1:{ports[1]}",)}
    threads: list[threading.Thread] = []
    try:
        for port in ports:  # each of them alone, so that both are up
            with running(service_of(shop, {"model_server": f"127.0.0.1:{port}"}, label="", deadline_ms=20_000)) as service:
                until_rung(service, "model")
        with running(service_of(shop, places, label="", deadline_ms=3_000)) as service:
            threads = [threading.Thread(target=ask, args=(service,)) for _ in range(3)]
            for thread in threads:
                thread.start()
            time.sleep(2)
            processes[0].kill()
            processes[0].wait()
            time.sleep(2)
            processes[0] = model_server(shop, ports[0])
            until = time.monotonic() + 60
            while service.get("/health/ready").json["failing"]:
                assert time.monotonic() < until
                time.sleep(0.1)
            time.sleep(2)
            processes[1].send_signal(signal.SIGSTOP)
            time.sleep(2)
            processes[1].send_signal(signal.SIGCONT)
            over.set()
            for thread in threads:
                thread.join()
            assert service.counted('shelfrank_model_total{what="hedges_won"}') > 0
    finally:
        over.set()
        for process in processes:
            process.kill()
            process.wait()
    assert len(answers) > 100
    assert [answer["reason"] for answer in answers if answer["degraded"]] == []


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"hedged_share": -0.1}, "hedged_share is a share from 0 to 1"),
        ({"shadow_share": 1.1}, "shadow_share is a share from 0 to 1"),
        ({"reuse_ms": -1}, "reuse_ms is from 0"),
        ({"reuse_ms": 60_000}, "reuse_ms is from 0"),
        ({"label": "stable", "shadow": "stable"}, "the shadow 'stable' is the label that is asked anyway"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Settings(**wrong)


def test_a_replica_given_twice_is_refused(shop: Shop) -> None:
    with pytest.raises(InputError, match="each model server once"):
        Locations(dataset=shop.dataset, state=shop.state, model_server="x:1", replicas=("y:1", "x:1"), model="shop")
