"""Predict and the signatures over gRPC, as TensorFlow Serving answers them."""

from dataclasses import replace

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

from tests.serving.model_server.conftest import Client
from tests.serving.model_server.served_models import ECHOED

NOT_FOUND, INVALID = grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT


def refused(call: pytest.ExceptionInfo[grpc.RpcError], code: grpc.StatusCode, *texts: str) -> bool:
    error = call.value
    return error.code() is code and all(text in error.details() for text in texts)


def test_the_answer_is_one_value_in_its_typed_field(server: Client) -> None:
    answer = server.predict({"x": [2.0]}, output_filter=["y"])
    (output,) = answer.outputs.values()
    assert (output.dtype, list(output.float_val), output.tensor_content) == (tf.float32.as_datatype_enum, [3.0], b"")
    assert [dim.size for dim in output.tensor_shape.dim] == [1]


def test_the_answer_echoes_model_signature_and_version(server: Client) -> None:
    spec = server.predict({"x": [2.0]}).model_spec
    assert (spec.name, spec.signature_name, spec.version.value) == ("default", "serving_default", 123)


def test_without_a_filter_all_outputs_come(server: Client) -> None:
    inputs = {"int_tensor": np.array([1, 2], np.int32), "str_tensor": np.array([b"a", b"b"], object)}
    answer = server.predict(inputs, model="echo", signature="two_inputs")
    assert {name: tf.make_ndarray(tensor).tolist() for name, tensor in answer.outputs.items()} == {"doubled": [2, 4], "word": [b"a", b"b"]}


@pytest.mark.parametrize("shape", [(1,), (1, 1), (3,), (2, 3), (0,)])
def test_a_shape_is_not_compared_to_the_placeholder_s(server: Client, shape: tuple[int, ...]) -> None:
    answer = server.predict({"x": np.full(shape, 2.0, "f")})
    assert np.array_equal(tf.make_ndarray(answer.outputs["y"]), np.full(shape, 3.0, "f"))


@pytest.mark.parametrize("model", ["default", "tf2"])
def test_an_export_of_a_session_and_one_of_tensorflow_2_answer_alike(server: Client, model: str) -> None:
    answer = server.predict({"x": np.array([[2.0], [3.0]], "f")}, model=model)
    assert list(answer.outputs["y"].float_val) == [3.0, 3.5]


@pytest.mark.parametrize("name", ECHOED)
@pytest.mark.parametrize("as_content", [False, True])
def test_every_type_passes_unchanged(server: Client, name: str, as_content: bool) -> None:
    values = {"string": np.array([b"a\x00", b"", b"\xff"], object), "bool": np.array([True, False, True])}
    array = values.get(name, np.array([0, 1, 100]).astype("float32" if name == "float" else name if name != "string" else object))
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "echo", name
    proto = tf.make_tensor_proto(array)
    if not as_content and proto.tensor_content:
        proto = request.inputs["unused"]
        proto.dtype = tf.as_dtype(array.dtype).as_datatype_enum
        proto.tensor_shape.dim.add().size = 3
        field = {"float": "float_val", "double": "double_val", "int64": "int64_val", "bool": "bool_val", "uint32": "uint32_val"}
        if name == "half":
            proto.half_val.extend(array.view(np.uint16).tolist())
        else:
            getattr(proto, field.get(name, "int_val")).extend(array.tolist())
        request.inputs["x"].CopyFrom(proto)
        del request.inputs["unused"]
    else:
        request.inputs["x"].CopyFrom(proto)
    answer = tf.make_ndarray(server.prediction.Predict(request).outputs["y"])
    assert answer.dtype == array.dtype
    assert answer.tolist() == array.tolist()


@pytest.mark.parametrize(("values", "expected"), [([7.0], [7.0, 7.0, 7.0]), ([1.0, 2.0], [1.0, 2.0, 2.0]), ([], [0.0, 0.0, 0.0])])
def test_missing_values_repeat_the_last_and_none_are_zero(server: Client, values: list[float], expected: list[float]) -> None:
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "echo", "float"
    request.inputs["x"].dtype = tf.float32.as_datatype_enum
    request.inputs["x"].tensor_shape.dim.add().size = 3
    request.inputs["x"].float_val.extend(values)
    assert list(server.prediction.Predict(request).outputs["y"].float_val) == expected


def test_a_large_message_passes_both_ways(server: Client) -> None:
    with grpc.insecure_channel(server.grpc_target, options=[("grpc.max_receive_message_length", -1)]) as channel:
        answer = replace(server, channel=channel).predict({"x": np.ones((3_000_000, 1), "f")})
    assert len(answer.outputs["y"].float_val) == 3_000_000


def test_an_unknown_model_is_not_found(server: Client) -> None:
    with pytest.raises(grpc.RpcError) as call:
        server.y(2.0, model="nobody")
    assert refused(call, NOT_FOUND, "Servable not found for request: Latest(nobody)")


def test_an_unknown_version_is_not_found(server: Client) -> None:
    with pytest.raises(grpc.RpcError) as call:
        server.y(2.0, version=99)
    assert refused(call, NOT_FOUND, "Servable not found for request: Specific(default, 99)")


def test_versions_and_labels_choose_the_version(server: Client) -> None:
    assert [server.y(2.0, model="two_versions", version=version) for version in (123, 124)] == [3.0, 4.0]
    assert [server.y(2.0, model="two_versions", label=label) for label in ("stable", "also stable", "canary")] == [3.0, 3.0, 4.0]
    assert server.y(2.0, model="two_versions") == 4.0


def test_an_unknown_label_is_the_caller_s_mistake(server: Client) -> None:
    with pytest.raises(grpc.RpcError) as call:
        server.y(2.0, model="two_versions", label="nope")
    assert refused(call, INVALID, "Unrecognized servable version label: nope")


def test_a_request_names_a_model(server: Client) -> None:
    with pytest.raises(grpc.RpcError) as without:
        server.prediction.Predict(predict_pb2.PredictRequest())
    with pytest.raises(grpc.RpcError) as empty:
        server.y(2.0, model="")
    assert refused(without, INVALID, "Missing ModelSpec")
    assert refused(empty, INVALID, "ModelSpec has no name specified.")


def test_an_unknown_signature_fails_a_precondition(server: Client) -> None:
    with pytest.raises(grpc.RpcError) as call:
        server.y(2.0, signature="S")
    assert refused(call, grpc.StatusCode.FAILED_PRECONDITION, 'Serving signature key "S" not found.')


def test_the_inputs_are_those_of_the_signature(server: Client) -> None:
    with pytest.raises(grpc.RpcError) as none:
        server.predict({})
    with pytest.raises(grpc.RpcError) as extra:
        server.predict({"x": [2.0], "z": [2.0]})
    text = "input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. Missing but required: {x}."
    assert refused(none, INVALID, text)
    assert refused(extra, INVALID, "2!=1 len({x,z}) != len({x}). Sent extra: {z}. Missing but required: {}.")


def test_a_missing_input_takes_the_signature_s_default(server: Client) -> None:
    assert list(server.predict({"a": [1.0]}, model="echo", signature="sum").outputs["y"].float_val) == [11.0]
    assert list(server.predict({"a": [1.0], "b": [2.0]}, model="echo", signature="sum").outputs["y"].float_val) == [3.0]


def test_the_filter_names_outputs_once(server: Client) -> None:
    with pytest.raises(grpc.RpcError) as unknown:
        server.predict({"x": [2.0]}, output_filter=["z"])
    with pytest.raises(grpc.RpcError) as twice:
        server.predict({"x": [2.0]}, output_filter=["y", "y"])
    assert refused(unknown, INVALID, "output tensor alias not found in signature: z Outputs expected to be in the set {y}.")
    assert refused(twice, INVALID, "duplicate output tensor alias: y")


def test_a_tensor_of_another_type_is_refused(server: Client) -> None:
    with pytest.raises(grpc.RpcError) as call:
        server.predict({"x": np.array([b"two"], object)})
    assert refused(call, INVALID, "to be float but string is provided")


def test_contents_that_do_not_fill_the_shape_are_refused(server: Client) -> None:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "default"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.ones(2, "f")))
    request.inputs["x"].tensor_shape.dim[0].size = 3
    with pytest.raises(grpc.RpcError) as call:
        server.prediction.Predict(request)
    assert refused(call, INVALID, "tensor parsing error: ")


def test_a_runtime_failure_comes_with_the_runtime_s_code(server: Client) -> None:
    with pytest.raises(grpc.RpcError) as call:
        server.predict({"a": [1.0, 2.0], "b": [1.0, 2.0, 3.0]}, model="echo", signature="sum")
    assert refused(call, INVALID, "ncompatible shapes")


@pytest.mark.parametrize("signature", ["regress_x_to_y", "classify_x_to_y"])
def test_predict_takes_a_signature_of_another_method(server: Client, signature: str) -> None:
    example = tf.train.Example()
    example.features.feature["x"].float_list.value.append(2.0)
    answer = server.predict({"inputs": np.array([example.SerializeToString()], object)}, signature=signature)
    (output,) = answer.outputs.values()
    assert list(output.float_val) == [3.0]


def test_metadata_is_the_signatures(server: Client) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "default"
    answer = server.prediction.GetModelMetadata(request)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert list(answer.metadata) == ["signature_def"]
    assert answer.metadata["signature_def"].Unpack(signatures)
    assert set(signatures.signature_def) == {"serving_default", "regress_x_to_y", "classify_x_to_y"}
    assert (answer.model_spec.name, answer.model_spec.version.value) == ("default", 123)


@pytest.mark.parametrize(
    ("fields", "text"),
    [([], "GetModelMetadataRequest must specify at least one metadata_field"), (["foo"], "Metadata field foo is not supported")],
)
def test_metadata_is_asked_for_by_a_known_field(server: Client, fields: list[str], text: str) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    request.model_spec.name = "default"
    with pytest.raises(grpc.RpcError) as call:
        server.prediction.GetModelMetadata(request)
    assert refused(call, INVALID, text)


def test_status_lists_all_versions_newest_first(server: Client) -> None:
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "two_versions"
    answer = server.models.GetModelStatus(request).model_version_status
    available = get_model_status_pb2.ModelVersionStatus.AVAILABLE
    assert [(entry.version, entry.state, entry.status.error_code) for entry in answer] == [(124, available, 0), (123, available, 0)]


def test_status_of_the_unknown_is_not_found(server: Client) -> None:
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "nobody"
    with pytest.raises(grpc.RpcError) as model:
        server.models.GetModelStatus(request)
    request.model_spec.name = "default"
    request.model_spec.version.value = 9
    with pytest.raises(grpc.RpcError) as version:
        server.models.GetModelStatus(request)
    with pytest.raises(grpc.RpcError) as nothing:
        server.models.GetModelStatus(get_model_status_pb2.GetModelStatusRequest())
    assert refused(model, NOT_FOUND, "Could not find any versions of model nobody")
    assert refused(version, NOT_FOUND, "Could not find version 9 of model default")
    assert refused(nothing, INVALID, "Missing ModelSpec")


def test_a_refusal_is_the_callers_and_leaves_nothing_in_the_servers_log(server: Client, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(grpc.RpcError) as call:
        server.predict({"x": [2.0]}, model="unheard")
    assert call.value.code() is NOT_FOUND
    assert caplog.records == []
