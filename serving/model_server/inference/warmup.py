"""Replay the warm-up requests of a SavedModel before its version serves."""

from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from serving.model_server.errors import Code, ServingError, invalid
from serving.model_server.inference.examples import classify, multi_inference, regress
from serving.model_server.inference.predict import predict
from serving.model_server.inference.runner import Call, Runner

MAX_RECORDS = 1000


def warm_up(folder: Path, runner: Runner) -> int:
    """Run and count the requests of `assets.extra/tf_serving_warmup_requests`, a TFRecord file of PredictionLog.

    A missing file is no error. Raises ServingError when the file isn't TFRecord (DATA_LOSS), holds more than 1000
    records or one that can't be parsed, or when a request fails: the load fails with it.
    """
    path = folder / "assets.extra" / "tf_serving_warmup_requests"
    if not path.is_file():
        return 0
    count = 0
    for record in _records(path):
        log = prediction_log_pb2.PredictionLog()
        try:
            log.ParseFromString(record)
        except DecodeError as error:
            raise invalid(f"Failed to parse warmup record: {record[:100]!r} from {path}") from error
        _replay(log, runner)
        count += 1
        if count > MAX_RECORDS:
            raise invalid(f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {path}")
    return count


def _records(path: Path) -> Iterator[bytes]:
    try:
        yield from tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    except tf.errors.DataLossError as error:
        raise ServingError(Code.DATA_LOSS, f"{error.message}. Please verify your warmup data is in TFRecord format.") from error


def _replay(log: prediction_log_pb2.PredictionLog, runner: Runner) -> None:
    call = Call(runner)
    match log.WhichOneof("log_type"):
        case "predict_log":
            predict(log.predict_log.request, call, version=None, as_content=False)
        case "classify_log":
            classify(log.classify_log.request, call, version=None)
        case "regress_log":
            regress(log.regress_log.request, call, version=None)
        case "multi_inference_log":
            multi_inference(log.multi_inference_log.request, call, version=None)
        case None:
            pass
        case kind:
            number = prediction_log_pb2.PredictionLog.DESCRIPTOR.fields_by_name[kind].number
            raise ServingError(Code.UNIMPLEMENTED, f"Unsupported log_type for warmup: {number}")
