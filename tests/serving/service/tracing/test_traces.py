"""Spans: within the caller's trace, sent to a collector, told to the model server; and nothing at all without a collector."""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from serving.client.messages import PREDICT
from serving.service.messages import message_class
from tests.serving.service.bad_model_servers import answering, free_port
from tests.serving.service.both_doors import both_doors
from tests.serving.service.conftest import Shop

ROOT = Path(__file__).resolve().parents[4]
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.services: set[str] = set()

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - named by the service
        for resource in request.resource_spans:
            self.services |= {each.value.string_value for each in resource.resource.attributes if each.key == "service.name"}
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    server, made = grpc.server(ThreadPoolExecutor(2)), Collector()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(made, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    yield made
    server.stop(0).wait()


@contextmanager
def noting(address: str) -> Iterator[tuple[str, list[str]]]:
    """In front of a model server: gives the address, and what the calls carried as `traceparent`."""
    carried = list[str]()
    with grpc.insecure_channel(address) as channel:
        behind = channel.unary_unary(PREDICT)

        def answer(raw: bytes, context: grpc.ServicerContext) -> Any:
            carried.append(dict(context.invocation_metadata()).get("traceparent", ""))
            return behind(raw, timeout=10)

        with answering(answer) as front:
            yield front, carried


def test_a_request_is_traced_from_its_caller_to_the_model_server(shop: Shop, collector: Collector) -> None:
    asked = message_class("RankRequest")(candidates=["p0", "p1"], shopper="hidden").SerializeToString()
    with noting(shop.address) as (address, carried), both_doors(shop, {"model_server": address}) as doors:
        with grpc.insecure_channel(doors.address) as channel:
            headers = {"content-type": "application/json", "traceparent": TRACEPARENT}
            assert doors.rest.call("POST", "/v1/rank", b'{"candidates": ["p0"], "shopper": "hidden"}', headers).json["rung"] == "model"
            channel.unary_unary("/shelfrank.v1.Ranking/Rank")(asked, timeout=20, metadata=(("traceparent", TRACEPARENT),))
            assert doors.rest.rank("p0")["rung"] == "model"  # a trace of its own
        doors.rest.stop()
    assert collector.services == {"shelfrank"}
    of_caller = [span for span in collector.spans if span.trace_id.hex() == TRACE]
    assert sorted(span.name for span in of_caller) == ["model", "model", "rank", "rank", "rules", "rules", "state", "state"]
    assert len(collector.spans) == 12
    roots = [span for span in of_caller if span.name == "rank"]
    assert {span.parent_span_id.hex() for span in roots} == {PARENT}
    assert {span.parent_span_id for span in of_caller if span.name != "rank"} == {span.span_id for span in roots}
    models = [f"00-{span.trace_id.hex()}-{span.span_id.hex()}" for span in collector.spans if span.name == "model"]
    assert sorted(one[:-3] for one in carried) == sorted(models)  # without the flags
    noted = {each.key: each.value for each in roots[0].attributes}
    assert (noted["shelfrank.rung"].string_value, noted["shelfrank.candidates"].int_value) == ("model", 1)
    assert not any(b"hidden" in span.SerializeToString() for span in collector.spans)


def test_a_model_that_fails_is_an_error_in_its_span(shop: Shop, collector: Collector) -> None:
    with both_doors(shop, {"model_server": f"127.0.0.1:{free_port()}"}) as doors:
        assert doors.rest.rank("p0")["degraded"]
    failed = [span for span in collector.spans if span.name == "model"]
    assert failed
    assert {span.status.message for span in failed} == {"UNAVAILABLE"}


def test_a_collector_that_is_gone_costs_no_answer(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    began = time.monotonic()
    with both_doors(shop, grace_s=2.0) as doors:
        assert doors.rest.rank("p0")["rung"] == "model"
    assert time.monotonic() - began < 20


def test_without_a_collector_nothing_of_it_is_imported() -> None:
    """FastAPI imports OpenTelemetry's interfaces by itself."""
    line = """
import sys
import serving.service.__main__
from serving.service.tracing.tracing import NoTracing, open_tracing
assert isinstance(open_tracing(), NoTracing)
print([name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))])
"""
    environment = {"PATH": "", "PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", line], check=True, capture_output=True, text=True, env=environment).stdout == "[]\n"
