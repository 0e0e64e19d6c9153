"""Requests that are joined on their first dimension, as TensorFlow Serving joins them."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf

from serving.model_server.batching.rows import concatenate, pad_to_longest, split_outputs
from serving.model_server.errors import Code, ServingError
from tests.serving.model_server.conftest import Client, Start
from tests.serving.model_server.test_lifecycle import TWO
from tests.serving.model_server.test_predict_grpc import INVALID, refused

Base = Callable[..., Path]
# So long that what comes in meanwhile is surely in the same batch.
WAIT = "batch_timeout_micros { value: 400000 } num_batch_threads { value: 1 } "


@pytest.fixture
def batching(start: Start, base: Base, tmp_path: Path) -> Callable[..., Client]:
    """Starts a server of `echo` and `default` with these batching parameters."""

    def begin(parameters: str) -> Client:
        one, two = base("default", {1: TWO}), base("echo", {1: "echo/1"})
        entry = 'config {{ name: "{}" base_path: "{}" model_platform: "tensorflow" }}'
        (tmp_path / "models.config").write_text(f"model_config_list {{ {entry.format('default', one)} {entry.format('echo', two)} }}")
        (tmp_path / "batching.config").write_text(parameters)
        (tmp_path / "monitoring.config").write_text("prometheus_config { enable: true }")
        return start(
            model_config_file=tmp_path / "models.config",
            monitoring_file=tmp_path / "monitoring.config",
            batching=True,
            batching_file=tmp_path / "batching.config",
            retries=0,
        )

    return begin


def at_once(client: Client, requests: list[Any], **spec: Any) -> list[Any]:
    """Each request's `y`, or its error, all sent together."""

    def ask(x: Any) -> Any:
        try:
            return tf.make_ndarray(client.predict({"x": x}, **spec).outputs["y"]).tolist()
        except grpc.RpcError as error:
            return error

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(ask, requests))


def runs(client: Client) -> int:
    _, _, page = client.http("GET", "/monitoring/prometheus/metrics")
    lines = [line for line in page.decode().splitlines() if line.startswith(":tensorflow:serving:batching_session:wrapped_run_count{")]
    return int(lines[0].split()[-1]) if lines else 0


def test_requests_share_a_run_and_get_their_own_rows(batching: Callable[..., Client]) -> None:
    client = batching(WAIT + "max_batch_size { value: 6 }")
    answers = at_once(client, [np.array([[2.0]], "f"), np.array([[4.0], [6.0]], "f"), np.array([[8.0], [10.0], [12.0]], "f")])
    assert answers == [[[3.0]], [[4.0], [5.0]], [[6.0], [7.0], [8.0]]]
    assert runs(client) == 1


def test_a_full_batch_does_not_wait(batching: Callable[..., Client]) -> None:
    client = batching("batch_timeout_micros { value: 60000000 } max_batch_size { value: 2 } num_batch_threads { value: 1 }")
    assert at_once(client, [[2.0], [4.0]]) == [[3.0], [4.0]]


def test_what_does_not_fit_goes_into_the_next_batch(batching: Callable[..., Client]) -> None:
    client = batching(WAIT + "max_batch_size { value: 3 }")
    assert at_once(client, [[2.0, 2.0], [4.0, 4.0]]) == [[3.0, 3.0], [4.0, 4.0]]
    assert runs(client) == 2


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        (
            "max_batch_size { value: 8 } allowed_batch_sizes: 2 allowed_batch_sizes: 4",
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 4; expected 8",
        ),
        (
            "max_batch_size { value: 8 } allowed_batch_sizes: 4 allowed_batch_sizes: 2 allowed_batch_sizes: 8",
            "allowed_batch_sizes entries must be monotonically increasing",
        ),
        ("enable_large_batch_splitting { value: true }", "enable_large_batch_splitting isn't served here"),
        ("max_batch_size: 8", "Error parsing text-format tensorflow.serving.BatchingParameters"),
    ],
)
def test_parameters_that_contradict_themselves_stop_the_start(batching: Callable[..., Client], parameters: str, text: str) -> None:
    with pytest.raises(ServingError) as error:
        batching(parameters)
    assert text in str(error.value)


def test_a_parameters_file_without_batching_stops_the_start(start: Start, tmp_path: Path) -> None:
    with pytest.raises(ServingError, match="--batching_parameters_file is set without setting --enable_batching"):
        start(model_base_path=str(tmp_path), batching_file=tmp_path / "batching.config")


def test_inputs_with_other_rows_are_refused(batching: Callable[..., Client]) -> None:
    client = batching("")
    with pytest.raises(grpc.RpcError) as call:
        client.predict({"a": [1.0], "b": [1.0, 2.0, 3.0]}, model="echo", signature="sum")
    assert refused(call, INVALID, "Batching Run() input tensors must have equal 0th-dimension size")


def test_more_rows_than_a_batch_are_refused(batching: Callable[..., Client]) -> None:
    client = batching("max_batch_size { value: 2 }")
    with pytest.raises(grpc.RpcError) as call:
        client.predict({"x": [1.0, 2.0, 3.0]})
    assert refused(call, INVALID, "Task size 3 is larger than maximum input batch size 2")


def test_a_full_queue_is_unavailable(batching: Callable[..., Client]) -> None:
    client = batching(WAIT + "max_batch_size { value: 1 } max_enqueued_batches { value: 1 }")
    errors = [answer for answer in at_once(client, [[2.0]] * 30) if isinstance(answer, grpc.RpcError)]
    # One thread takes full batches as fast as it can run them; 30 at once are more than that.
    assert {error.code() for error in errors} <= {grpc.StatusCode.UNAVAILABLE}
    for error in errors:
        assert (
            "queue to which this task was submitted is full; currently 1 batches enqueued and max_enqueued_batches is 1" in error.details()
        )


def test_a_request_past_its_deadline_in_the_queue_is_given_up(batching: Callable[..., Client], start: Start) -> None:
    client = batching("batch_timeout_micros { value: 700000 } num_batch_threads { value: 1 }")
    with pytest.raises(grpc.RpcError) as call:
        client.y(2.0, timeout=0.3)
    assert call.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    time.sleep(0.7)
    assert runs(client) == 0


def test_requests_of_other_shapes_do_not_join(batching: Callable[..., Client]) -> None:
    client = batching(WAIT + "max_batch_size { value: 2 }")
    answers = at_once(client, [np.ones((1, 2), "f"), np.ones((1, 3), "f")])
    assert [answer.code() for answer in answers] == [grpc.StatusCode.FAILED_PRECONDITION] * 2
    assert "different tasks have different shapes and padding is turned off" in answers[0].details()


def test_requests_of_other_lengths_join_when_they_are_padded(batching: Callable[..., Client]) -> None:
    client = batching(WAIT + "max_batch_size { value: 2 } pad_variable_length_inputs: true")
    answers = at_once(client, [np.array([[7.0, 2.0]], "f"), np.array([[5.0, 6.0, 8.0]], "f")], model="echo", signature="float")
    assert answers == [[[7.0, 2.0, 7.0]], [[5.0, 6.0, 8.0]]]


def test_a_batch_runs_at_an_allowed_size_and_answers_its_own_rows(batching: Callable[..., Client]) -> None:
    client = batching("max_batch_size { value: 4 } allowed_batch_sizes: 2 allowed_batch_sizes: 4 num_batch_threads { value: 1 }")
    assert at_once(client, [[2.0, 4.0, 6.0]]) == [[3.0, 4.0, 5.0]]


def test_a_filter_of_the_outputs_is_served_too(batching: Callable[..., Client]) -> None:
    client = batching("")
    inputs = {"int_tensor": np.array([1], np.int32), "str_tensor": np.array([b"a"], object)}
    assert list(client.predict(inputs, model="echo", signature="two_inputs", output_filter=["word"]).outputs) == ["word"]


def test_the_wait_in_the_queue_is_measured(batching: Callable[..., Client]) -> None:
    client = batching('thread_pool_name { value: "mine" }')
    client.y(2.0)
    _, _, page = client.http("GET", "/monitoring/prometheus/metrics")
    assert b':tensorflow:serving:batching_session:queuing_latency_count{thread_pool_name="mine"} 1' in page


def test_a_batch_is_filled_up_with_the_last_request_s_first_row() -> None:
    merged = concatenate([{"x": np.array([1, 2])}, {"x": np.array([3, 4])}], run_at=6, pad_lengths=False)
    assert merged["x"].tolist() == [1, 2, 3, 4, 3, 3]


def test_lengths_are_filled_up_with_the_tensor_s_first_element() -> None:
    short, long = np.array([[7, 2], [3, 4]]), np.array([[1, 1, 1]])
    assert [part.tolist() for part in pad_to_longest([short, long])] == [[[7, 2, 7], [3, 4, 7]], [[1, 1, 1]]]


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ([np.ones((1,) * 7), np.ones((1,) * 7)], "rank from 1 to 6"),
        ([np.ones((1, 0)), np.ones((1, 2))], "Got empty tensor in batch of non-empty tensors."),
    ],
)
def test_what_cannot_be_lengthened_is_refused(parts: list[Any], text: str) -> None:
    with pytest.raises(ServingError, match=text):
        pad_to_longest(parts)


@pytest.mark.parametrize("output", [np.array(1.0), np.ones(4)])
def test_an_output_without_the_inputs_rows_cannot_be_parted(output: Any) -> None:
    with pytest.raises(ServingError) as error:
        split_outputs([output], [1, 2], run_at=3)
    assert error.value.code is Code.FAILED_PRECONDITION


def test_a_version_waits_for_its_queue_before_it_goes(batching: Callable[..., Client]) -> None:
    client = batching(WAIT)
    got: list[float] = []
    waiting = threading.Thread(target=lambda: got.append(client.y(2.0)))
    waiting.start()
    waiting.join()
    assert got == [3.0]
