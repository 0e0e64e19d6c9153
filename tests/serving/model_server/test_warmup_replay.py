"""The requests that a model brings along run before it answers, as in TensorFlow Serving."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving.model_server.errors import ServingError
from tests.serving.model_server.conftest import Client, Start
from tests.serving.model_server.served_models import CLASSIFY, REGRESS
from tests.serving.model_server.test_examples_grpc import classification, example, regression, several
from tests.serving.model_server.test_lifecycle import TWO

Base = Callable[..., Path]


def predict_log(x: object = 2.0) -> prediction_log_pb2.PredictionLog:
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.model_spec.name = "default"
    log.predict_log.request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.array([x], "f" if isinstance(x, float) else object)))
    return log


def every_kind() -> list[prediction_log_pb2.PredictionLog]:
    logs = [predict_log()] + [prediction_log_pb2.PredictionLog() for _ in range(3)]
    logs[1].classify_log.request.CopyFrom(classification("default", "classify_x_to_y", example(x=2.0)))
    logs[2].regress_log.request.CopyFrom(regression("default", "regress_x_to_y", example(x=2.0)))
    logs[3].multi_inference_log.request.CopyFrom(several(("default", "regress_x_to_y", REGRESS), ("default", "classify_x_to_y", CLASSIFY)))
    return logs


@pytest.fixture
def warm(start: Start, base: Base, tmp_path: Path) -> Callable[..., Client]:
    """Starts a server of a model with these bytes as its warm-up file, or these records in it."""

    def begin(content: bytes | Sequence[bytes], **config: object) -> Client:
        path = base(versions={1: TWO}) / "1" / "assets.extra" / "tf_serving_warmup_requests"
        path.parent.mkdir()
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            with tf.io.TFRecordWriter(str(path)) as writer:
                for record in content:
                    writer.write(record)
        (tmp_path / "monitoring.config").write_text("prometheus_config { enable: true }")
        return start(model_base_path=str(base()), retries=0, monitoring_file=tmp_path / "monitoring.config", **config)

    return begin


def records_read(client: Client) -> list[str]:
    _, _, page = client.http("GET", "/monitoring/prometheus/metrics")
    return [
        line.rsplit(" ", 1)[1] for line in page.decode().splitlines() if line.startswith(":tensorflow:serving:model_warmup_records_read{")
    ]


def test_each_kind_of_request_is_replayed(warm: Callable[..., Client]) -> None:
    client = warm([log.SerializeToString() for log in every_kind()])
    assert client.y(2.0) == 3.0
    assert records_read(client) == ["4"]


def test_an_empty_file_is_no_error(warm: Callable[..., Client]) -> None:
    assert records_read(warm([])) == ["0"]


def test_a_thousand_records_are_allowed(warm: Callable[..., Client]) -> None:
    assert records_read(warm([predict_log().SerializeToString()] * 1000)) == ["1000"]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        pytest.param([predict_log().SerializeToString()] * 1001, "Number of warmup records exceeds the maximum (1000)", id="too-many"),
        pytest.param([b"\xff\xff"], "Failed to parse warmup record: ", id="no-log"),
        pytest.param(b"neither records nor anything", "Please verify your warmup data is in TFRecord format.", id="no-records"),
        pytest.param([predict_log(b"two").SerializeToString()], "to be float but string is provided", id="a-failing-request"),
        pytest.param(
            [prediction_log_pb2.PredictionLog(session_run_log={}).SerializeToString()], "Unsupported log_type for warmup", id="session-run"
        ),
    ],
)
def test_a_bad_file_fails_the_load(warm: Callable[..., Client], content: bytes | Sequence[bytes], text: str) -> None:
    with pytest.raises(ServingError) as error:
        warm(content)
    assert text in str(error.value)


def test_warm_up_can_be_left_out(warm: Callable[..., Client]) -> None:
    assert warm(b"neither records nor anything", warmup=False).y(2.0) == 3.0
