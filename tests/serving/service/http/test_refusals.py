"""What the service refuses and how: one sentence as JSON, and never a stack trace."""

import json
import re
from typing import Any

import pytest

from components.contract.errors import InputError
from serving.service.settings import Locations, Settings
from tests.serving.service.conftest import Shop, Started
from tests.serving.service.little_shop import ITEMS

CLICK = {"interactions": [{"action": "click", "item": "p0", "shopper": "a", "time_us": 1_770_000_000_000_000}]}


def test_writing_needs_the_token_and_reading_does_not(started: Started) -> None:
    service = started(token="secret")
    for token in ("", "wrong", "secre", "secret2"):
        answer = service.post("/v1/events", CLICK, token=token)
        assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert "expected the service's token" in answer.json["error"]
    assert service.call("DELETE", "/v1/shoppers/a").status == 401
    assert service.post("/v1/events", CLICK, token="secret").status == 200
    assert service.call("DELETE", "/v1/shoppers/a", headers={"authorization": "Bearer secret"}).status == 204
    assert service.rank("p0")["order"] == ["p0"]


def test_a_token_of_other_letters_is_just_wrong(started: Started) -> None:
    headers = {"authorization": "Bearer \u00e4\u00f6".encode("latin-1").decode("latin-1")}
    assert started(token="secret").call("DELETE", "/v1/shoppers/a", headers=headers).status == 401


@pytest.mark.parametrize(
    ("asked", "status", "sentence"),
    [
        ({"candidates": []}, 422, "body.candidates"),
        ({"candidates": ["p0"], "shoper": "a"}, 422, "body.shoper"),
        ({"candidates": [None]}, 422, "body.candidates.0"),
        ({"candidates": [True]}, 422, "body.candidates.0"),
        ({"candidates": [" "]}, 422, "body.candidates.0"),
        ({"candidates": [2.0**53]}, 422, "got the float 9007199254740992.0: from 2^53 on ids that differ become one"),
        ({"candidates": ["p0"], "shopper": 1e300}, 422, "send it as text, or as a whole number"),
        ({"candidates": ["NULL"]}, 400, "got 'NULL', which the dataset file takes as missing (`null_values`)"),
        ({"candidates": [108, "108.0"]}, 400, "'108' twice"),
        ({"candidates": [""]}, 422, "body.candidates.0"),
        ({"candidates": ["p" * 201]}, 422, "body.candidates.0"),
        ({"candidates": ["p0"], "shopper": "\x00r1"}, 422, "body.shopper"),
        ({"candidates": ["p0"], "shopper": "\ud800"}, 422, "body.shopper"),
        ({"candidates": ["p0"], "context": {"colour": "red"}}, 400, "'colour' is no feature"),
        ({"candidates": ["p0"], "context": {"device": {"a": 1}}}, 422, "body.context.device"),
        ({"candidates": ["p0"], "shown": {"shown_price": [1, 2]}}, 400, "shown_price: expected a list of 1 values"),
        ({"candidates": ["p0", "p1", "p0"]}, 400, "'p0' twice"),
        ({"candidates": ["a", "b", "c", "d"]}, 400, "at most 3 candidates, got 4"),
    ],
)
def test_a_request_that_is_wrong_gets_a_sentence(started: Started, asked: dict[str, Any], status: int, sentence: str) -> None:
    service = started(most_candidates=3)
    for route in ("/v1/rank", "/v1/explain"):
        answer = service.post(route, asked)
        assert (answer.status, list(answer.json)) == (status, ["error"])
        assert sentence in answer.json["error"]


def test_a_body_that_is_no_json_and_one_that_is_too_large_are_told_apart(started: Started) -> None:
    service = started(body_bytes=1_000)
    json_type = {"content-type": "application/json"}
    assert service.call("POST", "/v1/rank", b"{", json_type).status == 422
    assert service.call("POST", "/v1/rank", b"\xff", json_type).status in (400, 422)
    large = json.dumps({"candidates": ["p0"], "session": "s" * 1_000}).encode()
    answer = service.call("POST", "/v1/rank", large, json_type)
    assert (answer.status, answer.json["error"]) == (413, "expected a body of at most 1,000 bytes; send less at a time")


def test_a_body_whose_length_is_not_told_is_stopped_at_the_limit(started: Started) -> None:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", started(body_bytes=1_000).port, timeout=10)
    connection.request("POST", "/v1/rank", iter([b"x" * 600] * 3), {"content-type": "application/json"}, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_too_many_events_in_a_call_are_refused(started: Started) -> None:
    answer = started(most_events=2).post("/v1/events", {"interactions": CLICK["interactions"] * 3})
    assert (answer.status, answer.json["error"]) == (400, "expected at most 2 events in a call, got 3; send them in parts")


def test_unknown_paths_and_methods_get_sentences_too(started: Started) -> None:
    service = started()
    assert (service.get("/v2").status, service.get("/v2").json) == (404, {"error": "Not Found"})
    assert service.get("/v1/rank").status == 405
    assert service.counted('shelfrank_answers_total{door="rest",route="none",status="404"}') == 2


def test_the_documentation_needs_nothing_from_elsewhere(started: Started) -> None:
    service = started()
    page = service.get("/docs")
    assert page.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    names = re.findall(r'(?:src|href)="([^"]+)"', page.body.decode())
    assert names == ["data:,", "docs/docs.css", "docs/docs.js", "openapi.json"]
    for name in names[1:]:
        answer = service.get(f"/{name}")
        assert answer.status == 200
        assert b"//" not in re.sub(rb"^//.*|// .*", b"", answer.body, flags=re.MULTILINE)


def test_the_document_names_every_route_with_its_errors(started: Started) -> None:
    service = started()
    paths = service.get("/openapi.json").json["paths"]
    assert sorted(paths) == ["/health/live", "/health/ready", "/metrics", "/v1/events", "/v1/explain", "/v1/rank", "/v1/shoppers/{shopper}"]
    assert sorted(paths["/v1/events"]["post"]["responses"]) == ["200", "400", "401", "408", "413", "422", "429", "503"]
    assert paths["/v1/rank"]["post"]["responses"]["422"]["content"]["application/json"]["schema"]["$ref"].endswith("/ErrorBody")


@pytest.mark.parametrize(
    "wrong",
    [{"deadline_ms": 0}, {"most_candidates": 0}, {"logged_features": 1.5}, {"token": "\u00e4"}, {"body_bytes": -1}, {"salt": b"short"}],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Settings(**wrong)


def test_a_snapshot_of_redis_is_refused(shop: Shop) -> None:
    with pytest.raises(InputError, match="Redis keeps its own"):
        Locations(dataset=shop.dataset, state=shop.state, model_server="x:1", model="shop", redis="redis://x", snapshot=shop.state)


def test_a_cluster_without_a_redis_is_refused(shop: Shop) -> None:
    with pytest.raises(InputError, match="is of Redis, and there is none"):
        Locations(dataset=shop.dataset, state=shop.state, model_server="x:1", model="shop", redis_cluster=True)


def test_loading_without_a_redis_is_refused(shop: Shop) -> None:
    with pytest.raises(InputError, match="there is none"):
        Locations(dataset=shop.dataset, state=shop.state, model_server="x:1", model="shop", load=True)


def test_an_order_is_whole_at_any_length(started: Started) -> None:
    service = started()
    for length in range(1, len(ITEMS) + 1):
        assert sorted(service.rank(*ITEMS[:length])["order"]) == ITEMS[:length]
