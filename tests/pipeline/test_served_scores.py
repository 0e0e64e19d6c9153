"""One trained model asked through every door that there is: the scores are those that it was judged by."""

import json
import urllib.request
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from components.contract.load import load_dataset
from components.evaluation.importance.request_sample import sampled_records
from components.evaluation.tfma.saved_model_scorer import call_signature
from components.rehearsal.sampled_requests import read_requests, tensors
from components.rehearsal.warmup import predict_request
from serving.model_server.config import ServerConfig
from serving.model_server.server import ModelServer
from tests.pipeline.shop import shop_without_model
from tests.pipeline.test_whole_run import LAX, shelfrank

pytestmark = pytest.mark.slow
REQUESTS, MODEL = 40, "shop"


def as_json(value: Any) -> Any:
    if isinstance(value, list):
        return [as_json(each) for each in value]
    return value.decode() if isinstance(value, bytes) else value


def by_rest(port: int, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/models/{MODEL}:predict", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["outputs"]


def test_scores_by_grpc_rest_examples_and_offline_agree(tmp_path: Path) -> None:
    assert shelfrank("simulate", "--out", "shop", "--events", 5_000, cwd=tmp_path).returncode == 0
    (tmp_path / "shop.yaml").write_text(shop_without_model() + LAX)
    ended = shelfrank("run", "shop.yaml", "--data", "shop", "--root", "run", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    dataset = load_dataset(tmp_path / "shop.yaml")
    (examples,) = (tmp_path / "run" / "artifacts" / "EventExampleGen" / "examples").iterdir()
    serialized = sampled_records(str(examples), "test", seed=dataset.seed)[:REQUESTS]
    asked = read_requests(serialized, dataset)
    release = tf.saved_model.load(str(tmp_path / "run" / "releases" / "1"))
    offline = call_signature(release.signatures["examples"], tf.constant(serialized))["scores"].numpy()

    config = ServerConfig(model_name=MODEL, model_base_path=str(tmp_path / "run" / "releases"), rest_port=0, retries=0, poll_s=0)
    with ModelServer(config) as server, grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        every = predict_pb2.PredictRequest()
        every.model_spec.name, every.model_spec.signature_name = MODEL, "examples"
        every.inputs["examples"].CopyFrom(tf.make_tensor_proto(serialized))
        as_examples = tf.make_ndarray(stub.Predict(every, timeout=60).outputs["scores"])
        for row, request in enumerate(asked):
            columns, length = tensors(request, request.candidates, dataset), request.candidates
            listwise = tf.make_ndarray(stub.Predict(predict_request(columns, model=MODEL), timeout=60).outputs["scores"])
            response = by_rest(server.rest_port, {"inputs": {name: as_json(value.tolist()) for name, value in columns.items()}})
            rest = np.array(response["scores"] if isinstance(response, dict) else response)
            for scores in (listwise[0, :length], rest[0, :length], as_examples[row, :length]):
                np.testing.assert_allclose(scores, offline[row, :length], rtol=0, atol=1e-6)
    assert len(asked) == REQUESTS
    assert np.ptp(offline[offline > 0]) > 0.01
