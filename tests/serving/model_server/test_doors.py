"""The doors besides the models: health, metrics, sockets, ports, CORS, and the answer's form, as TensorFlow Serving has them."""

from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving.model_server.config import ServerConfig
from serving.model_server.errors import ServingError
from serving.model_server.server import ModelServer
from tests.serving.model_server.conftest import Client, Start
from tests.serving.model_server.test_lifecycle import TWO

Base = Callable[..., Path]


@pytest.mark.parametrize("service", ["ModelService", "PredictionService"])
def test_the_services_are_healthy_by_their_short_names(server: Client, service: str) -> None:
    answer = health_pb2_grpc.HealthStub(server.channel).Check(health_pb2.HealthCheckRequest(service=service))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_health_is_off_by_default(start: Start, base: Base) -> None:
    client = start(model_base_path=str(base(versions={1: TWO})))
    with pytest.raises(grpc.RpcError) as call:
        health_pb2_grpc.HealthStub(client.channel).Check(health_pb2.HealthCheckRequest(service="ModelService"))
    assert call.value.code() is grpc.StatusCode.UNIMPLEMENTED


def page(client: Client) -> tuple[str, list[str]]:
    status, headers, body = client.http("GET", "/monitoring/prometheus/metrics")
    assert status == 200
    return headers["content-type"], body.decode().splitlines()


def value(lines: list[str], start: str) -> float:
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(start))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("request_count", "counter"),
        ("request_latency", "histogram"),
        ("runtime_latency", "histogram"),
        ("request_example_counts", "histogram"),
        ("request_example_count_total", "counter"),
        ("model_warmup_latency", "histogram"),
        ("batching_session:queuing_latency", "histogram"),
    ],
)
def test_prometheus_reads_the_names_that_dashboards_know(server: Client, name: str, kind: str) -> None:
    content_type, lines = page(server)
    assert content_type.startswith("text/plain")
    assert f"# TYPE :tensorflow:serving:{name} {kind}" in lines


def test_requests_are_counted_by_model_and_outcome(server: Client) -> None:
    count = ':tensorflow:serving:request_count{{model_name="{}",status="{}"}}'
    latency = ':tensorflow:serving:request_latency_count{model_name="default",API="Predict",entrypoint="GRPC"}'
    _, before = page(server)
    server.y(2.0)
    server.post("/v1/models/default:predict", {"instances": [2.0]})
    with pytest.raises(grpc.RpcError):
        server.y(2.0, model='a "name" \\ nobody has')
    _, after = page(server)
    grown = [value(after, line) - value(before, line) for line in (count.format("default", "OK"), latency)]
    assert grown == [2, 1]
    assert count.format('a \\"name\\" \\\\ nobody has', "NOT_FOUND") + " 1" in after


def test_a_histogram_counts_from_below(server: Client) -> None:
    server.y(2.0)
    _, lines = page(server)
    start = ':tensorflow:serving:request_latency_bucket{model_name="default",API="Predict",entrypoint="GRPC",le='
    edges = [line.removeprefix(start).split("} ") for line in lines if line.startswith(start)]
    assert [edge for edge, _ in edges[:3]] == ['"10"', '"18"', '"32.4"']
    assert edges[-1][0] == '"+Inf"'
    counts = [int(count) for _, count in edges]
    assert counts == sorted(counts)
    assert counts[-1] == value(lines, ':tensorflow:serving:request_latency_count{model_name="default",API="Predict",entrypoint="GRPC"}')


def test_without_a_monitoring_file_there_is_no_page(start: Start, base: Base) -> None:
    client = start(model_base_path=str(base(versions={1: TWO})))
    assert client.http("GET", "/monitoring/prometheus/metrics")[0] == 404


def test_the_page_may_lie_elsewhere(start: Start, base: Base, tmp_path: Path) -> None:
    (tmp_path / "monitoring.config").write_text('prometheus_config { enable: true path: "/metrics" }')
    client = start(model_base_path=str(base(versions={1: TWO})), monitoring_file=tmp_path / "monitoring.config")
    assert client.http("GET", "/metrics")[0] == 200
    assert client.http("GET", "/monitoring/prometheus/metrics")[0] == 404


def test_cors_headers_come_when_they_are_asked_for(start: Start, base: Base) -> None:
    client = start(model_base_path=str(base(versions={1: TWO})), cors=True)
    for method, origin in (("GET", {}), ("OPTIONS", {"Origin": "http://shop.example"})):
        _, headers, _ = client.http(method, "/v1/models/default", headers=origin)
        assert headers["access-control-allow-origin"] == "*"
        assert headers["access-control-allow-methods"] == "POST, GET"
        assert headers["access-control-allow-headers"] == "Content-Type"


def test_a_unix_socket_serves_grpc_too(start: Start, base: Base, tmp_path: Path) -> None:
    start(model_base_path=str(base(versions={1: TWO})), socket_path=str(tmp_path / "socket"), grpc_port=None)
    with grpc.insecure_channel(f"unix:{tmp_path / 'socket'}") as channel:
        assert Client("", "", 0, channel).y(2.0) == 3.0


def test_channel_arguments_reach_the_server(start: Start, base: Base) -> None:
    client = start(model_base_path=str(base(versions={1: TWO})), channel_arguments=(("grpc.max_receive_message_length", 100),))
    assert client.y(2.0) == 3.0
    with pytest.raises(grpc.RpcError) as call:
        client.predict({"x": [2.0] * 1000})
    assert call.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_an_answer_may_come_as_tensor_content(start: Start, base: Base) -> None:
    client = start(model_base_path=str(base(versions={1: TWO})), as_content=True)
    output = client.predict({"x": [2.0, 4.0]}).outputs["y"]
    assert (list(output.float_val), tf.make_ndarray(output).tolist()) == ([], [3.0, 4.0])


def test_a_request_may_run_on_a_pool_of_threads(start: Start, base: Base) -> None:
    assert start(model_base_path=str(base(versions={1: TWO})), inter_op=2, intra_op=2).y(2.0) == 3.0


def test_the_server_listens_on_its_address_alone(start: Start, base: Base) -> None:
    client = start(model_base_path=str(base(versions={1: TWO})), host="127.0.0.2")
    assert client.y(2.0) == 3.0
    with pytest.raises(ConnectionRefusedError):
        Client("127.0.0.1", "", client.rest_port, client.channel).http("GET", "/v1/models/default")


def test_rest_may_be_closed(start: Start, base: Base) -> None:
    client = start(model_base_path=str(base(versions={1: TWO})), rest_port=None)
    assert (client.rest_port, client.y(2.0)) == (0, 3.0)


def test_a_taken_port_stops_the_start(start: Start, base: Base) -> None:
    client = start(model_base_path=str(base(versions={1: TWO})))
    grpc_port = int(client.grpc_target.rsplit(":", 1)[1])
    with pytest.raises(ServingError, match="can't listen on"):
        start(model_base_path=str(base()), grpc_port=grpc_port)
    with pytest.raises(OSError, match="in use"):
        start(model_base_path=str(base()), rest_port=client.rest_port)


def test_a_server_can_be_stopped_twice(base: Base) -> None:
    server = ModelServer(ServerConfig(model_base_path=str(base(versions={1: TWO}))))
    with server:
        server.stop()


def test_a_model_of_other_tags_does_not_load(start: Start, base: Base) -> None:
    with pytest.raises(ServingError, match="did not become available"):
        start(model_base_path=str(base(versions={1: TWO})), tags=("serve", "gpu"), retries=0)
