"""Any body gets an answer: an order, or 4xx with a sentence. None is a fault of the service, and none blinds the next request."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from components.contract.values import event_time
from serving.service.schemas import EventsBody, RankBody
from tests.serving.service.bad_model_servers import free_port
from tests.serving.service.conftest import Shop, Started, service_of
from tests.serving.service.hostile import BODIES, VALUES, calls
from tests.serving.service.running import Answer, Service, running
from tests.serving.state.private_redis import private_redis

JSON_TYPE = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def service(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    places = {"model_server": f"127.0.0.1:{free_port()}", "log": tmp_path_factory.mktemp("log")}
    with running(service_of(shop, places)) as service:
        yield service


def assert_answered(answer: Answer, what: object) -> None:
    assert answer.status in (200, 400, 422), (what, answer.body)
    if answer.status != 200:
        assert list(answer.json) == ["error"], what
        assert len(answer.json["error"]) < 2_000, what
        assert "parsing the body" not in answer.json["error"], what


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value[:20])
def test_any_value_in_any_place_is_answered(service: Service, value: str) -> None:
    for path, body in calls(value):
        assert_answered(service.call("POST", path, body.encode("utf-8", "surrogatepass"), JSON_TYPE), (path, body[:200]))
    assert service.rank("p0", "p1", shopper="a")["order"]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:20]))
def test_any_body_is_answered(service: Service, body: bytes) -> None:
    for path in ("/v1/rank", "/v1/events", "/v1/explain"):
        answer = service.call("POST", path, body, JSON_TYPE)
        if (path, answer.status) != ("/v1/explain", 503):  # the model is down
            assert_answered(answer, (path, body[:100]))


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"[" * 100_000, "body: expected JSON, got lists or objects within each other, too many to be read"),
        (b"\xff", "body: expected JSON, got bytes that aren't UTF-8"),
        (b'{"candidates": ["p0"', "body: expected JSON, got Expecting ',' delimiter at line 1, column 21"),
        (b'{"candidates": [' + b"9" * 5_000 + b"]}", "body: expected JSON, got a number of too many digits"),
        (b'{"candidates": ["p0"], "context": {"device": "\\ud800"}}', "body.context.device: expected text of whole characters"),
        (b'{"candidates": ["p0"], "context": {"device": [["x"]]}}', "body.context.device: expected text of whole characters"),
    ],
)
def test_what_is_wrong_with_a_body_is_said(service: Service, body: bytes, sentence: str) -> None:
    answer = service.call("POST", "/v1/rank", body, JSON_TYPE)
    assert (answer.status, answer.json["error"][: len(sentence)]) == (422, sentence)


def test_odd_values_open_no_breaker_of_a_store(started: Started) -> None:
    with private_redis() as store:
        url = f"redis://127.0.0.1:{store.connection_pool.connection_kwargs['port']}/0"
        service = started(places={"redis": url, "model_server": f"127.0.0.1:{free_port()}"})
        for odd in ('"context":{"device":"\\ud800"}', f'"shown":{{"look":[[{"9" * 400},1]]}}', f'"context":{{"device":"{"9" * 4_500}.0"}}'):
            for _ in range(6):  # more than a breaker bears in a row
                service.call("POST", "/v1/rank", f'{{"candidates":["p0"],{odd}}}'.encode(), JSON_TYPE)
        assert "state" not in service.get("/health/ready").json["failing"]
        assert "state" not in service.rank("p0", "p1", shopper="a")["reason"]
        assert service.counted('shelfrank_degraded_total{reason="state"}') == 0
        service.stop()


def test_a_number_too_large_for_the_model_is_missing_to_it(service: Service) -> None:
    huge = 10**400
    for asked in ({"context": {"taste": [huge, 1]}}, {"shown": {"look": [[1, -huge]], "shown_price": [huge]}}):
        assert service.post("/v1/rank", {"candidates": ["p0"], **asked}).status == 200


def refusal(service: Service, body: dict[str, Any]) -> str:
    answer = service.post("/v1/events", body)
    assert answer.status == 400, answer.body
    sentence: str = answer.json["error"]
    return sentence


def test_time_of_an_event_that_is_no_time_is_refused_with_its_place_and_unit(service: Service) -> None:
    now_s = time.time()
    click = {"action": "click", "item": "p0", "shopper": "a"}
    shown = {"request": "r9", "items": ["p0"], "shopper": "a"}
    for unit, name in ((1, "these look like seconds"), (1e3, "these look like milliseconds"), (1e9, "these look like nanoseconds")):
        for body, place in (
            ({"interactions": [click, {**click, "time_us": int(now_s * unit)}]}, "(interactions.1)"),
            ({"impressions": [{**shown, "time_us": int(now_s * unit)}], "interactions": [click]}, "(impressions.0)"),
        ):
            sentence = refusal(service, body)
            assert sentence.startswith("expected a time in microseconds since 1970")
            assert name in sentence
            assert sentence.endswith(place)


def test_any_other_fault_of_an_event_names_its_place_too(service: Service) -> None:
    good, shown = {"action": "click", "item": "p0"}, {"request": "r", "items": ["p0"]}
    for body, fault, place in (
        ({"interactions": [good, good, {"action": "klick", "item": "p0"}]}, "'klick' isn't among", "(interactions.2)"),
        ({"interactions": [good, {"action": "click"}]}, "'click' is about an item", "(interactions.1)"),
        ({"interactions": [{**good, "context": {"colour": "red"}}]}, "'colour' is no feature", "(interactions.0)"),
        ({"impressions": [shown, {"request": "NULL", "items": ["p0"]}]}, "expected the id of the request", "(impressions.1)"),
        ({"impressions": [shown, {"request": "r", "items": ["NULL"]}]}, "expected products' ids", "(impressions.1)"),
        ({"impressions": [{**shown, "shown": {"shown_price": [1, 2]}}]}, "shown_price: expected 1 values", "(impressions.0)"),
    ):
        sentence = refusal(service, body)
        assert sentence.startswith(fault)
        assert sentence.endswith(place)


def test_an_event_a_little_ahead_of_the_clock_counts_as_of_now_and_is_counted(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_time, "AHEAD_US", 3_600_000_000)  # however slow the machine is
    before = service.counted("shelfrank_events_ahead_total")
    late = {"action": "click", "item": "p1", "shopper": "b", "time_us": int((time.time() + 1_800) * 1e6)}
    for _ in range(2):  # sent again it is the same event
        assert service.post("/v1/events", {"interactions": [late]}).json == {"accepted": 1}
    assert service.counted("shelfrank_events_ahead_total") == before + 2
    far = {**late, "time_us": int((time.time() + 7_200) * 1e6)}
    assert refusal(service, {"interactions": [late, far]}).endswith("correct the clock (interactions.1)")


def test_bodies_know_no_value_of_any_kind() -> None:
    """What isn't checked by its type is a hole for the next odd value."""
    for body in (RankBody, EventsBody):
        text = str(body.model_json_schema())
        assert "'additionalProperties': True" not in text
        assert "'items': {}" not in text
