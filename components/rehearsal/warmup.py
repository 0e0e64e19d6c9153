"""Write the warm-up file: requests that a model server runs before it serves a version."""

from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from components.contract.dataset import Dataset
from components.rehearsal.sampled_requests import SampledRequest, resized, tensors

FILE = "assets.extra/tf_serving_warmup_requests"
SIGNATURE = "serving_default"
EXPLAIN = "explain"
"""The signature of attributions, which not every model has. Its first call takes seconds too, so it is warmed up."""


def predict_request(inputs: Mapping[str, Any], *, model: str, signature: str = SIGNATURE) -> predict_pb2.PredictRequest:
    """Convert named arrays to a request to a signature."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    for name, values in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
    return request


def warmup_requests(requests: Sequence[SampledRequest], lengths: Iterable[int], dataset: Dataset) -> tuple[SampledRequest, ...]:
    """Make a request of each length from the sampled one whose list is nearest to it, cut or repeated."""
    listed = [request for request in requests if request.candidates]
    return tuple(resized(min(listed, key=lambda each: abs(each.candidates - length)), length, dataset) for length in lengths)


def write_warmup(requests: Sequence[SampledRequest], model: Path, dataset: Dataset, *, name: str, signatures: Container[str] = ()) -> Path:
    """Write `FILE` into the folder of a SavedModel; the same requests give the same bytes.

    Args:
        requests: for `serving_default`; the shortest one also for `explain`, if that is among `signatures`.
        model: the folder.
        dataset: the dataset file.
        name: of the model on a server.
        signatures: of the model.
    """
    file = model / FILE
    file.parent.mkdir(exist_ok=True)
    calls = [(request, SIGNATURE) for request in requests]
    if EXPLAIN in signatures:
        calls.append((min(requests, key=lambda each: each.candidates), EXPLAIN))
    with tf.io.TFRecordWriter(str(file)) as writer:
        for request, signature in calls:
            log = prediction_log_pb2.PredictionLog()
            message = predict_request(tensors(request, request.candidates, dataset), model=name, signature=signature)
            log.predict_log.request.CopyFrom(message)
            writer.write(log.SerializeToString(deterministic=True))
    return file
