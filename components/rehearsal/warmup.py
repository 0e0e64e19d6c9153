"""The file of requests that a model server runs before a version answers anyone."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from components.contract.dataset import Dataset
from components.rehearsal.recorded import Recorded, resized, tensors

FILE = "assets.extra/tf_serving_warmup_requests"
SIGNATURE = "serving_default"


def predict_request(inputs: Mapping[str, Any], *, model: str) -> predict_pb2.PredictRequest:
    """Named arrays as a request to `serving_default`."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, SIGNATURE
    for name, values in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
    return request


def warmup_requests(requests: Sequence[Recorded], lengths: Iterable[int], dataset: Dataset) -> tuple[Recorded, ...]:
    """One request for each length, full: of those recorded the one whose list comes nearest, cut or repeated to it."""
    listed = [request for request in requests if request.candidates]
    return tuple(resized(min(listed, key=lambda each: abs(each.candidates - length)), length, dataset) for length in lengths)


def write_warmup(requests: Iterable[Recorded], model: Path, dataset: Dataset, *, name: str) -> Path:
    """Write `FILE` into the folder of a SavedModel: the same requests give the same bytes."""
    file = model / FILE
    file.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(file)) as writer:
        for request in requests:
            log = prediction_log_pb2.PredictionLog()
            log.predict_log.request.CopyFrom(predict_request(tensors(request, request.candidates, dataset), model=name))
            writer.write(log.SerializeToString(deterministic=True))
    return file
