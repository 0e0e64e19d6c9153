"""The gRPC door: what the REST door answers, it answers, and what that refuses, it refuses in the same words."""

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving.service.messages import COMPILED
from tests.serving.service.bad_model_servers import free_port, hung
from tests.serving.service.both_doors import Compiled, Doors, both_doors, compile_proto, compiled
from tests.serving.service.conftest import Shop
from tests.serving.service.little_shop import ITEMS
from tests.serving.service.load import terminated_under_clicks
from tests.serving.service.test_start_and_stop import ROOT, command, ready

T_US = 1_770_000_000_000_000


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    return compiled(tmp_path_factory.mktemp("client"))


@pytest.fixture(scope="module")
def doors(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    with both_doors(shop, {"log": tmp_path_factory.mktemp("log")}, most_candidates=10) as open_doors:
        yield open_doors


def refused(call: Any, request: Any, **more: Any) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=20, **more)
    return caught.value.code().name, caught.value.details()


def test_the_compiled_file_beside_the_proto_file_is_what_the_compiler_makes_of_it(tmp_path: Path) -> None:
    made = tmp_path / "made"
    compile_proto(f"--descriptor_set_out={made}")
    again = descriptor_pb2.FileDescriptorSet.FromString(made.read_bytes())
    assert descriptor_pb2.FileDescriptorSet.FromString(COMPILED.read_bytes()) == again


def test_amounts_come_through_this_door_as_through_the_other(doors: Doors, client: Compiled) -> None:
    with doors.stub(client) as stub:
        events = client.messages.RecordEventsRequest()
        events.interactions.add(action="click", item="p0", shopper="paying", time_us=T_US, revenue=9.5, quantity=2)
        assert stub.RecordEvents(events).accepted == 1
        events.interactions[0].margin = 1
        status, words = refused(stub.RecordEvents, events)
    click = {"action": "click", "item": "p0", "shopper": "paying", "time_us": T_US, "revenue": 9.5, "quantity": 2, "margin": 1}
    answer = doors.rest.post("/v1/events", {"interactions": [click]})
    assert (status, words) == ("INVALID_ARGUMENT", answer.json["error"])
    assert answer.status == 400


def test_both_doors_give_the_same_order_and_scores(doors: Doors, client: Compiled) -> None:
    with doors.stub(client) as stub:
        events = client.messages.RecordEventsRequest()
        events.interactions.add(action="click", item="p0", shopper="a", time_us=T_US)
        events.impressions.add(request="r", items=["p1", "p0"], shopper="a", time_us=T_US)
        assert stub.RecordEvents(events).accepted == 2
        asked = client.messages.RankRequest(candidates=ITEMS, shopper="a", session="s", request="same")
        asked.context["device"].text = "mobile"
        for price in (1, 2, 3, 4, 5):
            asked.shown["shown_price"].values.add(whole=price)
        asked.shown["shown_price"].values.add()  # missing
        by_grpc = stub.Rank(asked)
    body = {
        "shopper": "a",
        "session": "s",
        "request": "same",
        "context": {"device": "mobile"},
        "shown": {"shown_price": [1, 2, 3, 4, 5, None]},
    }
    by_rest = doors.rest.rank(*ITEMS, **body)
    assert by_rest["rung"] == "model"
    assert (list(by_grpc.order), list(by_grpc.scores)) == (by_rest["order"], by_rest["scores"])
    for name in ("request", "rung", "version", "label", "degraded", "reason"):
        assert getattr(by_grpc, name) == by_rest[name]
    assert (dict(by_grpc.arms), list(by_grpc.rules)) == (by_rest["arms"], by_rest["rules"])


SOURCES = """\
sources:
  promoted: {kind: list, items: [p5, p0]}
  brand: {kind: category, feature: brand}
"""


def test_a_source_gives_the_candidates_as_over_rest(shop: Shop, client: Compiled, tmp_path: Path) -> None:
    (tmp_path / "sources.yaml").write_text(SOURCES)
    with both_doors(shop, {"sources": tmp_path / "sources.yaml"}) as doors, doors.stub(client) as stub:
        for asked in ({"source": "promoted"}, {"source": "brand", "about": "Kelso"}):
            by_grpc = stub.Rank(client.messages.RankRequest(**asked))
            by_rest = doors.rest.post("/v1/rank", asked).json
            assert (list(by_grpc.order), list(by_grpc.scores)) == (by_rest["order"], by_rest["scores"])
            assert by_grpc.rung == "model"
        assert list(stub.Explain(client.messages.RankRequest(source="promoted")).candidates) == ["p5", "p0"]
        for wrong in ({"source": "brand"}, {"source": "unheard"}, {"source": "promoted", "candidates": ["p0"]}):
            told = refused(stub.Rank, client.messages.RankRequest(**wrong))
            assert told == ("INVALID_ARGUMENT", doors.rest.post("/v1/rank", wrong).json["error"])


def test_a_version_is_asked_where_the_page_is_and_nowhere_else(shop: Shop, doors: Doors, client: Compiled) -> None:
    with doors.stub(client) as stub:
        for version in (0, 1):
            told = refused(stub.Rank, client.messages.RankRequest(candidates=ITEMS, version=version))
            assert told == ("INVALID_ARGUMENT", doors.rest.post("/v1/rank", {"candidates": ITEMS, "version": version}).json["error"])
        assert "expected no version" in told[1]
    with both_doors(shop, page=True) as open_doors, open_doors.stub(client) as stub:
        for version in (1, 2):
            ranked = stub.Rank(client.messages.RankRequest(candidates=ITEMS, version=version))
            assert (ranked.version, ranked.label, ranked.degraded) == (version, f"version {version}", False)
        assert "body.version" in refused(stub.Rank, client.messages.RankRequest(candidates=ITEMS, version=-1))[1]


def test_reasons_are_the_same_too(doors: Doors, client: Compiled) -> None:
    with doors.stub(client) as stub:
        told = stub.Explain(client.messages.RankRequest(candidates=["p0", "p1"], request="why"))
    by_rest = doors.rest.post("/v1/explain", {"candidates": ["p0", "p1"], "request": "why"}).json
    assert [list(row.values) for row in told.attributions] == by_rest["attributions"]
    assert {name: [value.number for value in values.values] for name, values in told.others.items()} == by_rest["others"]
    assert (list(told.features), list(told.candidates), told.version) == (by_rest["features"], by_rest["candidates"], by_rest["version"])


def test_a_long_number_keeps_its_digits_and_a_feature_goes_to_the_log_as_over_rest(shop: Shop, client: Compiled, tmp_path: Path) -> None:
    with both_doors(shop, {"log": tmp_path}) as doors:
        body = {"action": "search", "shopper": "a", "time_us": T_US, "context": {"device": (1 << 53) + 1}}
        assert doors.rest.post("/v1/events", {"interactions": [body]}).status == 200
        with doors.stub(client) as stub:
            request = client.messages.RecordEventsRequest()
            request.interactions.add(action="search", shopper="a", time_us=T_US + 1).context["device"].whole = (1 << 53) + 1
            request.interactions.add(action="search", shopper="a", time_us=T_US + 2).context["device"].list.values.add(text="x")
            stub.RecordEvents(request)
    (file,) = tmp_path.glob("interactions-*.jsonl")
    first, second, third = (line.partition('"dev":')[2].partition(",")[0] for line in file.read_text().splitlines())
    assert (first, second, third) == ('"9007199254740993"', '"9007199254740993"', '"x"')


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "expected either `candidates` or the name of a `source`"),
    ({"candidates": [""]}, "body.candidates.0"),
    ({"candidates": ["p" * 201]}, "body.candidates.0"),
    ({"candidates": ["p0"], "shopper": "\x00r1"}, "body.shopper"),
    ({"candidates": ["p0"], "places": -1}, "body.places"),
    ({"candidates": ["p0", "p1", "p0"]}, "'p0' twice"),
    ({"candidates": [f"p{n}" for n in range(11)]}, "at most 10 candidates, got 11"),
]


@pytest.mark.parametrize(("asked", "sentence"), WRONG)
def test_what_rest_refuses_is_refused_in_the_same_words(doors: Doors, client: Compiled, asked: dict[str, Any], sentence: str) -> None:
    by_rest = doors.rest.post("/v1/rank", asked)
    with doors.stub(client) as stub:
        for call in (stub.Rank, stub.Explain):
            code, told = refused(call, client.messages.RankRequest(**asked))
            assert (code, told) == ("INVALID_ARGUMENT", by_rest.json["error"])
    assert sentence in told


def test_unknown_features_and_wrong_events_are_refused(doors: Doors, client: Compiled) -> None:
    with doors.stub(client) as stub:
        asked = client.messages.RankRequest(candidates=["p0"])
        asked.context["colour"].text = "red"
        assert "'colour' is no feature" in refused(stub.Rank, asked)[1]
        events = client.messages.RecordEventsRequest()
        events.interactions.add(action="clik", item="p0")
        assert refused(stub.RecordEvents, events)[0] == "INVALID_ARGUMENT"
        asked = client.messages.RankRequest(candidates=["p0"])
        asked.context["\U0001f600" * 50_000].text = "red"  # what is told of it still fits into a header
        assert refused(stub.Rank, asked)[0] == "INVALID_ARGUMENT"


def test_bytes_that_are_no_message_are_the_callers_fault(doors: Doors) -> None:
    with grpc.insecure_channel(doors.address) as channel:
        code, told = refused(channel.unary_unary("/shelfrank.v1.Ranking/Rank"), b"\xff\xff")
        assert (code, "shelfrank.proto" in told) == ("INVALID_ARGUMENT", True)
        assert refused(channel.unary_unary("/shelfrank.v1.Ranking/Sort"), b"")[0] == "UNIMPLEMENTED"


def test_a_message_that_is_too_large_is_refused(shop: Shop, client: Compiled) -> None:
    with both_doors(shop, body_bytes=1_000) as doors, doors.stub(client) as stub:
        assert refused(stub.Rank, client.messages.RankRequest(candidates=["p0"], session="s" * 1_000))[0] == "RESOURCE_EXHAUSTED"


def test_writing_needs_the_token_and_reading_does_not(shop: Shop, client: Compiled) -> None:
    with both_doors(shop, token="secret") as doors, doors.stub(client) as stub:
        events = client.messages.RecordEventsRequest()
        events.interactions.add(action="click", item="p0", shopper="a", time_us=T_US)
        for given in ("", "Bearer", "Bearer wrong", "secret", "Basic secret"):
            told = refused(stub.RecordEvents, events, metadata=(("authorization", given),))
            assert told == ("UNAUTHENTICATED", "expected the service's token; send `Authorization: Bearer TOKEN`")
        assert refused(stub.Forget, client.messages.ForgetRequest(shopper="a"))[0] == "UNAUTHENTICATED"
        right = (("authorization", "Bearer secret"),)
        assert stub.RecordEvents(events, metadata=right).accepted == 1
        assert refused(stub.Forget, client.messages.ForgetRequest(), metadata=right)[0] == "INVALID_ARGUMENT"
        stub.Forget(client.messages.ForgetRequest(shopper="a"), metadata=right)
        assert list(stub.Rank(client.messages.RankRequest(candidates=["p0"])).order) == ["p0"]
        assert doors.rest.counted(
            'shelfrank_answers_total{door="grpc",route="/shelfrank.v1.Ranking/RecordEvents",status="UNAUTHENTICATED"}'
        ) == 5  # fmt: skip


def test_a_shopper_forgotten_by_grpc_is_a_stranger_by_rest(doors: Doors, client: Compiled) -> None:
    unknown = doors.rest.rank(*ITEMS, shopper="b")["scores"]
    with doors.stub(client) as stub:
        events = client.messages.RecordEventsRequest()
        for n in range(5):
            events.interactions.add(action="click", item="elsewhere", shopper="b", time_us=T_US + n)
        stub.RecordEvents(events)
        assert doors.rest.rank(*ITEMS, shopper="b")["scores"] != unknown
        stub.Forget(client.messages.ForgetRequest(shopper="b"))
    assert doors.rest.rank(*ITEMS, shopper="b")["scores"] == unknown


def test_a_log_or_a_model_that_takes_nothing_is_unavailable(shop: Shop, client: Compiled, tmp_path: Path) -> None:
    with both_doors(shop, {"log": tmp_path / "log", "model_server": f"127.0.0.1:{free_port()}"}) as doors, doors.stub(client) as stub:
        (tmp_path / "log").rename(tmp_path / "gone")
        events = client.messages.RecordEventsRequest()
        events.interactions.add(action="click", item="p0", shopper="a")
        code, told = refused(stub.RecordEvents, events)
        assert (code, "couldn't be written" in told) == ("UNAVAILABLE", True)
        assert refused(stub.Explain, client.messages.RankRequest(candidates=["p0"]))[0] == "UNAVAILABLE"
        ranked = stub.Rank(client.messages.RankRequest(candidates=["p0"]))
        assert (ranked.degraded, ranked.HasField("version")) == (True, False)


def test_a_callers_shorter_deadline_is_kept(shop: Shop, client: Compiled) -> None:
    with hung() as (address, left), both_doors(shop, {"model_server": address}, deadline_ms=20_000) as doors, doors.stub(client) as stub:
        ranked = stub.Rank(client.messages.RankRequest(candidates=["p0"]), timeout=1.0)
        assert "timeout" in ranked.reason
        assert left[0] < 1.0


def test_the_health_service_says_that_it_serves(doors: Doors) -> None:
    with grpc.insecure_channel(doors.address) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        for name in ("", "shelfrank.v1.Ranking"):
            assert check(health_pb2.HealthCheckRequest(service=name)).status == health_pb2.HealthCheckResponse.SERVING


def test_places_count_as_seen(doors: Doors, client: Compiled) -> None:
    shown = 'shelfrank_shown_total{served_by="stable"}'
    before = doors.rest.counted(shown)
    with doors.stub(client) as stub:
        stub.Rank(client.messages.RankRequest(candidates=["p0", "p1"], shopper="a", places=2))
    assert doors.rest.counted(shown) == before + 1


def test_on_sigterm_calls_under_way_are_answered_and_the_acknowledged_is_in_the_log(shop: Shop, client: Compiled, tmp_path: Path) -> None:
    port, grpc_port = free_port(), free_port()
    line = command(shop, port, "--grpc-port", str(grpc_port), "--log", str(tmp_path))
    process = subprocess.Popen(line, cwd=ROOT, env=os.environ.copy())
    acknowledged: list[str] = []
    ended = threading.Event()
    failures: list[grpc.RpcError] = []

    def click(shopper: str) -> None:
        with grpc.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
            stub, number = client.services.RankingStub(channel), 0
            while not ended.is_set():
                request = client.messages.RecordEventsRequest()
                request.interactions.add(action="click", item="p0", shopper=shopper, request=f"{shopper}{number}")
                try:
                    stub.RecordEvents(request, timeout=20)
                except grpc.RpcError as error:
                    failures.append(error)
                    return
                acknowledged.append(f"{shopper}{number}")
                number += 1

    try:
        ready(port, process)
        terminated_under_clicks(process, click, acknowledged, ended)
    finally:
        process.kill()
    assert {failure.code().name for failure in failures} <= {"UNAVAILABLE"}  # the door was closed; nothing was broken off
    text = "".join(path.read_text() for path in tmp_path.glob("interactions-*.jsonl"))
    assert all(f'"request":"{name}"' in text for name in acknowledged)
    assert not list(tmp_path.glob("*.open"))
