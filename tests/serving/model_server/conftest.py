"""A server with small models: the embedded one, or the one whose address SHELFRANK_MODEL_SERVER gives."""

import http.client
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving.model_server.config import ServerConfig
from serving.model_server.server import ModelServer
from tests.serving.model_server import served_models

ADDRESS = "SHELFRANK_MODEL_SERVER"


@dataclass(frozen=True)
class Client:
    """Both doors of a server."""

    address: str
    grpc_target: str
    rest_port: int
    channel: grpc.Channel

    @property
    def prediction(self) -> prediction_service_pb2_grpc.PredictionServiceStub:
        return prediction_service_pb2_grpc.PredictionServiceStub(self.channel)

    @property
    def models(self) -> model_service_pb2_grpc.ModelServiceStub:
        return model_service_pb2_grpc.ModelServiceStub(self.channel)

    def http(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.address, self.rest_port, timeout=30)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        finally:
            connection.close()

    def get(self, path: str) -> tuple[int, Any]:
        status, _, body = self.http("GET", path)
        return status, json.loads(body)

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        """`body` as it is when it's text, else as JSON."""
        status, _, answer = self.http("POST", path, (body if isinstance(body, str) else json.dumps(body)).encode())
        return status, json.loads(answer)

    def predict(
        self, inputs: Mapping[str, Any], *, model: str = "default", timeout: float = 30, **spec: Any
    ) -> predict_pb2.PredictResponse:
        """`inputs` become tensors; float32 unless they say otherwise."""
        request = predict_pb2.PredictRequest()
        request.model_spec.name = model
        request.model_spec.signature_name = spec.get("signature", "")
        if "version" in spec:
            request.model_spec.version.value = spec["version"]
        if "label" in spec:
            request.model_spec.version_label = spec["label"]
        request.output_filter.extend(spec.get("output_filter", ()))
        for name, value in inputs.items():
            array = np.asarray(value)
            request.inputs[name].CopyFrom(tf.make_tensor_proto(array.astype("f") if array.dtype == float else array))
        return self.prediction.Predict(request, timeout=timeout)

    def y(self, x: float, **spec: Any) -> float:
        """The answer of a model of half plus something."""
        (y,) = tf.make_ndarray(self.predict({"x": [x]}, **spec).outputs["y"]).tolist()
        return float(y)

    def states(self, model: str = "default") -> dict[int, str]:
        """Version -> state, {} for an unknown model."""
        status, answer = self.get(f"/v1/models/{model}")
        return {} if status == 404 else {int(entry["version"]): entry["state"] for entry in answer["model_version_status"]}


def connected(address: str, grpc_target: str, rest_port: int) -> Iterator[Client]:
    with grpc.insecure_channel(grpc_target) as channel:
        yield Client(address, grpc_target, rest_port, channel)


@pytest.fixture(scope="session")
def model_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All models of `served_models`, each under its own folder."""
    base = tmp_path_factory.mktemp("models")
    served_models.write(base)
    served_models.half_plus(base / "half_plus_three", 3.0)
    return base


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Iterator[Client]:
    """A server of the models in `served_models`."""
    given = os.environ.get(ADDRESS)
    if given:
        host, grpc_port, rest_port = given.rsplit(":", 2)
        yield from connected(host, f"{host}:{grpc_port}", int(rest_port))
        return
    base = request.getfixturevalue("model_files")
    config = ServerConfig(
        model_config_file=base / "models.config",
        monitoring_file=base / "monitoring.config",
        health=True,
        labels_for_unavailable=True,
    )
    with ModelServer(config) as started:
        yield from connected("127.0.0.1", f"127.0.0.1:{started.grpc_port}", started.rest_port)


Start = Callable[..., Client]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts an embedded server of its own for a test that changes its models or flags; stops it behind the test."""
    if os.environ.get(ADDRESS):
        pytest.skip(f"needs control over the server's files and flags; {ADDRESS} names a server that runs elsewhere")
    stops: list[Callable[[], None]] = []

    def begin(**config: Any) -> Client:
        server = ModelServer(ServerConfig(**{"poll_s": 0.05, **config}))
        stops.append(server.stop)
        server.start()
        host = config.get("host", "127.0.0.1")
        target = f"{host}:{server.grpc_port}"
        channel = grpc.insecure_channel(target)
        stops.append(channel.close)
        return Client(host, target, server.rest_port, channel)

    yield begin
    for stop in reversed(stops):
        stop()


@pytest.fixture
def base(tmp_path: Path, model_files: Path) -> Callable[..., Path]:
    """Makes a base path: `base("shop", {1: "half_plus_two/00000123"})` copies models into numbered folders of it."""

    def make(name: str = "model", versions: Mapping[Any, str] | None = None) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        for version, source in (versions or {}).items():
            shutil.copytree(model_files / source, tmp_path / "in the making")
            (tmp_path / "in the making").rename(folder / str(version))
        return folder

    return make
