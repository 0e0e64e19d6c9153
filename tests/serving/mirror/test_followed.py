"""A model server that reads what the mirror writes, under requests, while labels move in the store."""

import threading
import time
from pathlib import Path

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc as prediction_service

from components.contract.storage.object_store import Address
from serving.mirror.__main__ import mirror_of, parser, run
from serving.model_server.config import ServerConfig
from serving.model_server.server import ModelServer
from tests.serving.mirror.stores import label, put


def publish(store: str, version: int, made: Path) -> None:
    """A model that adds its number."""
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")], autograph=False)
    def added(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": x + float(version)}

    tf.saved_model.save(module, str(made), signatures={"serving_default": added})
    release = Address.of(f"{store}/releases/{version}")
    for path in (path for path in made.rglob("*") if path.is_file()):
        (release / path.relative_to(made).as_posix()).send(path)
    put(release / "manifest.json", '{"dataset": "shop"}')


@pytest.mark.slow
def test_no_request_fails_while_stable_moves_in_the_store(s3: str, tmp_path: Path) -> None:
    store, pod, ended = f"{s3}/shop", tmp_path / "pod", threading.Event()
    publish(store, 1, tmp_path / "one")
    label(store, {"stable": (1,)})
    assert mirror_of(parser().parse_args([store, str(pod), "--part", "releases"])).look(0) == ""
    following = mirror_of(parser().parse_args([store, str(pod), "--part", "releases", "--follow", "--settle", "5", "--keep", "0"]))
    config = ServerConfig(
        model_config_file=pod / "releases/model_config.txt", config_poll_s=0.5, rest_port=None, poll_s=0.2, labels_for_unavailable=True
    )
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.version_label = "shop", "stable"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([0.0]))
    thread = threading.Thread(target=run, args=(following,), kwargs={"every_s": 0.2, "follow": True, "ended": ended})
    with ModelServer(config) as server, grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        service = prediction_service.PredictionServiceStub(channel)

        def asked() -> float:
            return float(service.Predict(request, timeout=30).outputs["y"].float_val[0])

        assert asked() == 1
        thread.start()
        try:
            publish(store, 2, tmp_path / "two")
            label(store, {"stable": (2,)})  # `previous` would keep 1
            answers, until = [], time.monotonic() + 120
            while time.monotonic() < until and (pod / "releases/1").exists():
                answers.append(asked())
        finally:
            ended.set()
            thread.join()
        assert asked() == 2
    assert set(answers) == {1.0, 2.0}
    assert answers == sorted(answers)
    assert [path.name for path in (pod / "releases").iterdir() if path.name.isdecimal()] == ["2"]
