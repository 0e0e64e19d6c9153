"""The client's messages and tensors are TensorFlow Serving's, byte for byte and both ways."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import predict_pb2

from serving.client.messages import PredictRequest, PredictResponse, Tensor
from serving.client.tensors import read, write

ARRAYS = [
    np.array([[1.5, -2.0]], np.float32),
    np.array([1.5]),
    np.array([[3], [4]], np.int64),
    np.array([5], np.int32),
    np.array([True, False]),
    np.array([[b"a", b"\xc3\xa4\x00"]], object),
    np.zeros((1, 0), np.float32),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_a_tensor_written_here_is_read_by_tensorflow(array: Any) -> None:
    tensor = Tensor()
    write(tensor, array)
    there = tf.make_ndarray(tensor_pb2.TensorProto.FromString(tensor.SerializeToString()))
    assert (there.dtype, there.shape, there.tolist()) == (array.dtype, array.shape, array.tolist())


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_a_tensor_written_by_tensorflow_is_read_here(array: Any) -> None:
    found = read(Tensor.FromString(tf.make_tensor_proto(array).SerializeToString()))
    assert (found.dtype, found.shape, found.tolist()) == (array.dtype, array.shape, array.tolist())


def test_a_tensor_with_typed_fields_is_read_and_its_last_value_repeated() -> None:
    proto = tensor_pb2.TensorProto(dtype=1, float_val=[1.0, 2.0])
    proto.tensor_shape.dim.add(size=4)
    assert read(Tensor.FromString(proto.SerializeToString())).tolist() == [1, 2, 2, 2]


@pytest.mark.parametrize(
    "text",
    [
        "dtype: 1 tensor_shape { dim { size: 3 } }",
        "dtype: 1 tensor_shape { dim { size: -1 } } float_val: 1",
        "dtype: 1 tensor_shape { unknown_rank: true } float_val: 1",
        "dtype: 1 tensor_shape { dim { size: 1 } } float_val: 1 float_val: 2",
        "dtype: 1 tensor_shape { dim { size: 2 } } tensor_content: '1234'",
        "dtype: 1 tensor_shape { dim { size: 99999999999 } } float_val: 1",
        "dtype: 8 tensor_shape { dim { size: 1 } }",
    ],
)
def test_a_tensor_that_contradicts_itself_is_refused(text: str) -> None:
    proto = text_format.Parse(text, tensor_pb2.TensorProto())
    with pytest.raises(ValueError, match="expected"):
        read(Tensor.FromString(proto.SerializeToString()))


def test_requests_and_answers_are_those_of_tensorflow_serving() -> None:
    request = PredictRequest(output_filter=["scores"])
    request.model_spec.name, request.model_spec.version_label, request.model_spec.signature_name = "shop", "stable", "explain"
    write(request.inputs.add(key="n").value, np.array([2], np.int64))
    there = predict_pb2.PredictRequest.FromString(request.SerializeToString())
    assert (there.model_spec.name, there.model_spec.version_label, there.model_spec.signature_name) == ("shop", "stable", "explain")
    assert (list(there.output_filter), tf.make_ndarray(there.inputs["n"]).tolist()) == (["scores"], [2])
    answer = predict_pb2.PredictResponse()
    answer.model_spec.version.value = 7
    answer.outputs["scores"].CopyFrom(tf.make_tensor_proto([[0.5]]))
    here = PredictResponse.FromString(answer.SerializeToString())
    assert (here.model_spec.version.value, here.outputs[0].key, read(here.outputs[0].value).tolist()) == (7, "scores", [[0.5]])
