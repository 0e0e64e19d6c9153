"""Send sampled requests to a model server by gRPC, one after the other."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc as prediction_service

from components.contract.dataset import Dataset
from components.rehearsal.length_buckets import bucket
from components.rehearsal.parity import Scores
from components.rehearsal.sampled_requests import SampledRequest, tensors
from components.rehearsal.warmup import predict_request

_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Answers:
    """The candidates' scores of each request by output, and its latency in milliseconds."""

    scores: tuple[Scores, ...]
    latency_ms: tuple[float, ...]


def replay(requests: Sequence[SampledRequest], address: str, dataset: Dataset, *, model: str) -> Answers:
    """Send each request once, without a trial: a version that was warmed up must be quick from the first.

    Raises:
        grpc.RpcError: a request isn't answered.
        ValueError: an answer lacks a score for a candidate.
    """
    lengths = dataset.serving.list_lengths
    messages = [predict_request(tensors(each, bucket(each.candidates, lengths), dataset), model=model) for each in requests]
    with grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", -1)]) as channel:
        stub = prediction_service.PredictionServiceStub(channel)
        answers = [_timed(stub, message) for message in messages]
    scores = tuple(_scores(answer, request) for (answer, _), request in zip(answers, requests, strict=True))
    return Answers(scores, tuple(latency_ms for _, latency_ms in answers))


def _timed(
    stub: prediction_service.PredictionServiceStub, message: predict_pb2.PredictRequest
) -> tuple[predict_pb2.PredictResponse, float]:
    start = time.perf_counter()
    answer = stub.Predict(message, timeout=_TIMEOUT_S)
    return answer, (time.perf_counter() - start) * 1e3


def _scores(answer: predict_pb2.PredictResponse, request: SampledRequest) -> Scores:
    outputs = {name: tf.make_ndarray(proto) for name, proto in answer.outputs.items()}
    for name, values in outputs.items():
        if values.ndim != 2 or len(values) != 1 or values.shape[1] < request.candidates:
            raise ValueError(f"expected {name!r} of shape (1, {request.candidates} or more), got {values.shape}")
    return {name: values[0, : request.candidates] for name, values in outputs.items()}
