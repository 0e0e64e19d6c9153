"""Classify, Regress and MultiInference over gRPC, as TensorFlow Serving answers them."""

from typing import Any

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import classification_pb2, inference_pb2, input_pb2, regression_pb2

from tests.serving.model_server.conftest import Client
from tests.serving.model_server.served_models import CLASSIFY, PREDICT, REGRESS
from tests.serving.model_server.test_predict_grpc import INVALID, refused

BOTH = pytest.mark.parametrize("model", ["default", "tf2"])


def example(**features: Any) -> tf.train.Example:
    made = tf.train.Example()
    for name, value in features.items():
        if isinstance(value, float):
            made.features.feature[name].float_list.value.append(value)
        else:
            made.features.feature[name].bytes_list.value.extend(value)
    return made


def classification(model: str, signature: str, *examples: tf.train.Example) -> classification_pb2.ClassificationRequest:
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    request.input.example_list.examples.extend(examples)
    return request


def regression(model: str, signature: str, *examples: tf.train.Example) -> regression_pb2.RegressionRequest:
    request = regression_pb2.RegressionRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    request.input.example_list.examples.extend(examples)
    return request


def several(*tasks: tuple[str, str, str]) -> inference_pb2.MultiInferenceRequest:
    request = inference_pb2.MultiInferenceRequest()
    request.input.example_list.examples.add().CopyFrom(example(x=2.0))
    for model, signature, method in tasks:
        task = request.tasks.add(method_name=method)
        task.model_spec.name, task.model_spec.signature_name = model, signature
    return request


@BOTH
def test_classify_gives_each_example_its_classes(server: Client, model: str) -> None:
    answer = server.prediction.Classify(classification(model, "classify_x_to_y", example(x=2.0)))
    (found,) = answer.result.classifications
    assert [(entry.label, entry.score) for entry in found.classes] == [("", 3.0)]
    assert (answer.model_spec.name, answer.model_spec.signature_name) == (model, "classify_x_to_y")
    assert answer.model_spec.version.value == 123


def test_classes_carry_labels_and_scores(server: Client) -> None:
    answer = server.prediction.Classify(classification("echo", "classes", example(word=[b"a", b"four"]), example(word=[b"", b"as"])))
    found = [[(entry.label, entry.score) for entry in row.classes] for row in answer.result.classifications]
    assert found == [[("a", 1.0), ("four", 4.0)], [("", 0.0), ("as", 2.0)]]


@BOTH
def test_regress_gives_each_example_a_number(server: Client, model: str) -> None:
    answer = server.prediction.Regress(regression(model, "regress_x_to_y", example(x=2.0), example(x=80.0)))
    assert [entry.value for entry in answer.result.regressions] == [3.0, 42.0]


def test_a_shared_context_is_part_of_every_example(server: Client) -> None:
    request = regression_pb2.RegressionRequest()
    request.model_spec.name, request.model_spec.signature_name = "default", "regress_x_to_y"
    request.input.example_list_with_context.context.CopyFrom(example(x=2.0))
    for _ in range(3):
        request.input.example_list_with_context.examples.add()
    assert [entry.value for entry in server.prediction.Regress(request).result.regressions] == [3.0, 3.0, 3.0]


@pytest.mark.parametrize("given", [input_pb2.Input(), input_pb2.Input(example_list=input_pb2.ExampleList())])
def test_no_examples_are_refused(server: Client, given: input_pb2.Input) -> None:
    request = regression("default", "regress_x_to_y")
    request.input.CopyFrom(given)
    with pytest.raises(grpc.RpcError) as regress:
        server.prediction.Regress(request)
    asked = classification("default", "classify_x_to_y")
    asked.input.CopyFrom(given)
    with pytest.raises(grpc.RpcError) as classify:
        server.prediction.Classify(asked)
    assert refused(regress, INVALID, "Input is empty.")
    assert refused(classify, INVALID, "Input is empty.")


def test_an_unknown_signature_is_the_caller_s_mistake(server: Client) -> None:
    with pytest.raises(grpc.RpcError) as call:
        server.prediction.Classify(classification("default", "S", example(x=2.0)))
    assert refused(call, INVALID, "No signature was found with the name: S")


def test_a_signature_that_cannot_classify_is_refused(server: Client) -> None:
    with pytest.raises(grpc.RpcError) as inputs:
        server.prediction.Classify(classification("default", "", example(x=2.0)))
    with pytest.raises(grpc.RpcError) as outputs:
        server.prediction.Classify(classification("default", "regress_x_to_y", example(x=2.0)))
    assert refused(inputs, INVALID, "No classification inputs found in SignatureDef")
    assert refused(outputs, INVALID, 'at least one of "classes" or "scores"')


def test_a_signature_that_cannot_regress_is_refused(server: Client) -> None:
    with pytest.raises(grpc.RpcError) as several_inputs:
        server.prediction.Regress(regression("echo", "two_inputs", example(x=2.0)))
    with pytest.raises(grpc.RpcError) as outputs:
        server.prediction.Regress(regression("default", "classify_x_to_y", example(x=2.0)))
    assert refused(several_inputs, INVALID, "Expected one input Tensor.")
    assert refused(outputs, INVALID, "No regression outputs found in SignatureDef")


@BOTH
def test_several_tasks_share_the_examples(server: Client, model: str) -> None:
    answer = server.prediction.MultiInference(several((model, "regress_x_to_y", REGRESS), (model, "classify_x_to_y", CLASSIFY)))
    regressed, classified = answer.results
    assert [entry.value for entry in regressed.regression_result.regressions] == [3.0]
    assert [entry.score for entry in classified.classification_result.classifications[0].classes] == [3.0]
    assert [result.model_spec.signature_name for result in answer.results] == ["regress_x_to_y", "classify_x_to_y"]
    assert [result.model_spec.version.value for result in answer.results] == [123, 123]


@pytest.mark.parametrize(
    ("tasks", "code", "text"),
    [
        pytest.param(
            [("default", "regress_x_to_y", REGRESS), ("tf2", "classify_x_to_y", CLASSIFY)],
            INVALID,
            "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
            id="two-models",
        ),
        pytest.param(
            [("default", "regress_x_to_y", REGRESS)] * 2, INVALID, "Duplicate evaluation of signature: regress_x_to_y", id="twice-the-same"
        ),
        pytest.param(
            [("default", "serving_default", PREDICT)],
            grpc.StatusCode.UNIMPLEMENTED,
            f"Unsupported signature method_name: {PREDICT}",
            id="predict",
        ),
        pytest.param([("default", "S", REGRESS)], INVALID, "Requested signature not found in model graph: S", id="unknown-signature"),
    ],
)
def test_tasks_that_do_not_go_together_are_refused(
    server: Client, tasks: list[tuple[str, str, str]], code: grpc.StatusCode, text: str
) -> None:
    with pytest.raises(grpc.RpcError) as call:
        server.prediction.MultiInference(several(*tasks))
    assert refused(call, code, text)
