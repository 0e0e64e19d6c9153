"""REST at random, out of the document that the running service gives: no 5xx but the 503 that is documented, and every answer as told."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.serving.service.bad_model_servers import free_port
from tests.serving.service.both_doors import both_doors
from tests.serving.service.conftest import Shop
from tests.serving.service.hostile import assert_times_are_plausible, shop_calls
from tests.serving.service.running import Service

TOKEN = "secret"
# A 503 counts as a server's error there, and the test looks itself; which features a shop has, and what it sells, no document tells.
NOT_ASKED = [not_a_server_error, positive_data_acceptance]


@dataclass(frozen=True)
class Fuzzed:
    service: Service
    log: Path


@pytest.fixture(scope="module", params=["model server up", "model server down"])
def fuzzed(request: pytest.FixtureRequest, shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    down = {"model_server": f"127.0.0.1:{free_port()}"} if request.param == "model server down" else {}
    log = tmp_path_factory.mktemp("log")
    with both_doors(shop, {"log": log, **down}, deadline_ms=500, token=TOKEN) as doors:
        yield Fuzzed(doors.rest, log)


@pytest.fixture
def service(fuzzed: Fuzzed) -> Service:
    return fuzzed.service


def sent(service: Service, *, examples: int) -> list[str]:
    """Requests that the document allows, and such that it doesn't, to every route that it has; gives the routes."""
    document = schemathesis.openapi.from_url(f"http://127.0.0.1:{service.port}/openapi.json")
    tried = []
    for found in document.get_all_operations():
        operation = found.ok()
        tried.append(operation.label)
        takes = operation.body or operation.path_parameters or operation.query
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE) if takes else (GenerationMode.POSITIVE,):

            @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
            @given(case=operation.as_strategy(generation_mode=mode))
            def check(case: schemathesis.Case) -> None:
                answer = case.call(headers={"Authorization": f"Bearer {TOKEN}"})
                assert answer.status_code < 500 or answer.status_code == 503, (answer.status_code, answer.text)
                assert "Traceback" not in answer.text
                case.validate_response(answer, excluded_checks=NOT_ASKED)

            check()
            assert service.rank("p0", "p1")["order"]  # it is alive
    return tried


def sent_to_the_shop(fuzzed: Fuzzed, *, examples: int) -> None:
    headers = {"content-type": "application/json", "authorization": f"Bearer {TOKEN}"}

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(call=shop_calls())
    def check(call: tuple[str, dict[str, Any]]) -> None:
        path, body = call
        answer = fuzzed.service.call("POST", path, json.dumps(body).encode(), headers)
        assert answer.status in (200, 400, 422) or (path, answer.status) == ("/v1/explain", 503), (answer.status, answer.body)
        assert answer.status == 200 or list(answer.json) == ["error"]

    try:
        check()
    finally:  # one kind of fault mustn't hide the other
        assert_times_are_plausible(fuzzed.log)
    assert fuzzed.service.rank("p0", "p1")["order"]


def test_calls_that_know_the_shop_are_answered(fuzzed: Fuzzed) -> None:
    sent_to_the_shop(fuzzed, examples=300)


@pytest.mark.slow
def test_calls_that_know_the_shop_are_answered_for_long(fuzzed: Fuzzed) -> None:
    sent_to_the_shop(fuzzed, examples=10_000)


def test_answers_are_as_documented(service: Service) -> None:
    assert {"POST /v1/rank", "POST /v1/events", "POST /v1/explain", "DELETE /v1/shoppers/{shopper}"} <= set(sent(service, examples=10))


@pytest.mark.slow
def test_answers_are_as_documented_for_long(service: Service) -> None:
    sent(service, examples=1_000)


@pytest.mark.parametrize("name", ["a/b", "/", "..", "a?b#c", "\u00e4", "%", "a\u2028b", " 108.0 "])
def test_any_shopper_can_be_forgotten(service: Service, name: str) -> None:
    path = f"/v1/shoppers/{quote(name, safe='')}"
    assert service.call("DELETE", path, headers={"authorization": f"Bearer {TOKEN}"}).status == 204


@pytest.mark.parametrize("name", ["a\nb", "a\n", "\n", "\x00", "a" * 201])
def test_an_id_that_cannot_be_is_told_so(service: Service, name: str) -> None:
    answer = service.call("DELETE", f"/v1/shoppers/{quote(name, safe='')}", headers={"authorization": f"Bearer {TOKEN}"})
    assert (answer.status, "path.shopper" in answer.json["error"]) == (422, True)


@pytest.mark.parametrize("name", [" ", "\x85", "NULL", "0"])
def test_nobody_cannot_be_forgotten(service: Service, name: str) -> None:
    answer = service.call("DELETE", f"/v1/shoppers/{quote(name, safe='')}", headers={"authorization": f"Bearer {TOKEN}"})
    assert (answer.status, answer.json["error"][:29]) == (400, "expected a shopper's id, got ")
