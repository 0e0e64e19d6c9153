"""What browsers, proxies and load balancers need of the REST door."""

import json
import socket
from contextlib import closing

import pytest

from components.contract.errors import InputError
from serving.service.__main__ import KEEP_ALIVE_S
from serving.service.settings import Settings
from tests.serving.service.bad_model_servers import free_port
from tests.serving.service.conftest import Started
from tests.serving.service.running import Answer, Service

SHOP = "https://shop.example"
CLICK = json.dumps({"interactions": [{"action": "click", "item": "p0", "shopper": "a"}]}).encode()


def without_model(started: Started, **settings: object) -> Service:
    return started(places={"model_server": f"127.0.0.1:{free_port()}"}, **settings)


def preflight(service: Service, origin: str, method: str = "POST") -> Answer:
    headers = {
        "origin": origin,
        "access-control-request-method": method,
        "access-control-request-headers": "content-type,authorization",
    }
    return service.call("OPTIONS", "/v1/rank", headers=headers)


def test_without_the_option_no_page_of_another_origin_reads_an_answer(started: Started) -> None:
    service = without_model(started)
    assert preflight(service, SHOP).status == 405
    assert "access-control-allow-origin" not in service.call("GET", "/health/live", headers={"origin": SHOP}).headers


def test_pages_of_the_origins_may_call_and_others_not(started: Started) -> None:
    service = without_model(started, cors_origins=(SHOP,))
    allowed = preflight(service, SHOP)
    assert (allowed.status, allowed.headers["access-control-allow-origin"]) == (200, SHOP)
    assert preflight(service, "https://other.example").status == 400
    for body, status in ((b'{"candidates": ["p0"]}', 200), (b"{", 422)):  # an error's sentence can be read too
        answer = service.call("POST", "/v1/rank", body, {"origin": SHOP, "content-type": "application/json"})
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (status, SHOP)
    assert preflight(without_model(started, cors_origins=("*",)), SHOP).headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("origin", ["shop.example", "https://shop.example/", "", "null"])
def test_an_origin_that_no_browser_names_is_refused(origin: str) -> None:
    with pytest.raises(InputError, match="expected an origin"):
        Settings(cors_origins=(origin,))


def test_a_beacon_is_read_as_json_from_pages_that_may_call(started: Started) -> None:
    service = without_model(started, cors_origins=(SHOP,))
    own = f"http://127.0.0.1:{service.port}"
    beacon = {"content-type": "text/plain;charset=UTF-8"}
    for headers, status in ((beacon, 200), ({**beacon, "origin": SHOP}, 200), ({**beacon, "origin": own}, 200)):
        assert service.call("POST", "/v1/events", CLICK, headers).status == status
    refused = service.call("POST", "/v1/events", CLICK, {**beacon, "origin": "https://other.example"})
    assert (refused.status, refused.json["error"][:5]) == (422, "body:")


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics", "/docs", "/openapi.json"])
def test_head_is_answered_as_get_without_a_body(started: Started, path: str) -> None:
    service = without_model(started)
    got, head = service.get(path), service.call("HEAD", path)
    assert (head.status, head.body, head.headers["content-type"]) == (200, b"", got.headers["content-type"])
    assert service.call("HEAD", "/v1/rank").status == 405


def test_everything_stands_under_a_prefix_whether_or_not_the_proxy_takes_it_off(started: Started) -> None:
    service = without_model(started, path_prefix="/shop/ranking", page=True)
    for prefix in ("", "/shop/ranking"):
        assert service.get(f"{prefix}/health/live").status == 200
        assert service.call("POST", f"{prefix}/v1/rank", b'{"candidates": ["p0"]}', {"content-type": "application/json"}).status == 200
        for path in ("/page/", "/page/page.css", "/page/choices", "/docs", "/docs/docs.js"):
            assert service.get(f"{prefix}{path}").status == 200, path
        assert service.get(f"{prefix}/").headers["location"] == "/shop/ranking/page/"
        assert service.get(f"{prefix}/openapi.json").json["servers"] == [{"url": "/shop/ranking"}]
    assert service.get("/shop/health/live").status == 404
    assert b'"/v1' not in service.get("/page/page.js").body  # its calls are relative to the page
    assert service.counted('shelfrank_answers_total{door="rest",route="/health/live",status="200"}') == 2


@pytest.mark.parametrize("prefix", ["ranking", "/ranking/", "/a b", "/a/../b?"])
def test_a_prefix_that_is_no_path_is_refused(prefix: str) -> None:
    with pytest.raises(InputError, match="path prefix"):
        Settings(path_prefix=prefix)


@pytest.mark.parametrize("sent", [b"", b'{"candidates": '])
@pytest.mark.parametrize("length", ["content-length: 100", "transfer-encoding: chunked"])
def test_a_body_that_does_not_come_is_given_up_and_its_connection_closed(started: Started, sent: bytes, length: str) -> None:
    service = without_model(started, body_s=0.2)
    with closing(socket.create_connection(("127.0.0.1", service.port), timeout=30)) as connection:
        chunk = b"%x\r\n%s\r\n" % (len(sent), sent) if "chunked" in length and sent else sent
        connection.sendall(f"POST /v1/rank HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{length}\r\n\r\n".encode() + chunk)
        answer = b""
        while piece := connection.recv(65_536):  # until it is closed from there
            answer += piece
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"expected the whole body within 0.2 s; send it again" in answer
    assert service.rank("p0")["order"] == ["p0"]


def test_connections_are_kept_for_longer_than_usual_proxies_keep_them() -> None:
    assert KEEP_ALIVE_S > 60
