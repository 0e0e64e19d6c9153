"""Run Classify, Regress and MultiInference: tf.Examples to classes or numbers."""

from collections.abc import Mapping

import numpy as np
from tensorflow_serving.apis import classification_pb2, inference_pb2, input_pb2, regression_pb2

from serving.model_server.errors import Code, ServingError, invalid
from serving.model_server.inference import signature as signatures
from serving.model_server.inference.model_spec import fill_response_spec
from serving.model_server.inference.runner import Call
from serving.model_server.inference.signature import CLASSIFY, REGRESS, ExampleSignature
from serving.model_server.inference.tensors import Array


def serialized(message: input_pb2.Input) -> Array:
    """Serialize the tf.Examples [N]; a shared context is prepended to each, which protobuf parses as their merge."""
    kind = message.WhichOneof("kind")
    if kind == "example_list_with_context":
        context = message.example_list_with_context.context.SerializeToString()
        rows = [context + example.SerializeToString() for example in message.example_list_with_context.examples]
    else:
        rows = [example.SerializeToString() for example in message.example_list.examples]
    if not rows:
        raise invalid("Input is empty.")
    array = np.empty(len(rows), object)
    array[:] = rows
    return array


def classify(
    request: classification_pb2.ClassificationRequest, call: Call, *, version: int | None
) -> classification_pb2.ClassificationResponse:
    """Classify. Raises INVALID_ARGUMENT for a signature of another kind, an empty input or wrong output shapes."""
    signature = signatures.classification(signatures.signature_of(call.signatures, request.model_spec.signature_name))
    examples = serialized(request.input)
    outputs = _run(call, [signature], examples)
    response = classification_pb2.ClassificationResponse()
    fill_response_spec(response.model_spec, requested=request.model_spec, version=version)
    _fill_classes(response.result, signature, outputs, len(examples))
    return response


def regress(request: regression_pb2.RegressionRequest, call: Call, *, version: int | None) -> regression_pb2.RegressionResponse:
    """Regress. Raises INVALID_ARGUMENT for a signature of another kind, an empty input or a wrong output shape."""
    signature = signatures.regression(signatures.signature_of(call.signatures, request.model_spec.signature_name))
    examples = serialized(request.input)
    outputs = _run(call, [signature], examples)
    response = regression_pb2.RegressionResponse()
    fill_response_spec(response.model_spec, requested=request.model_spec, version=version)
    _fill_numbers(response.result, signature, outputs, len(examples))
    return response


def multi_inference(
    request: inference_pb2.MultiInferenceRequest, call: Call, *, version: int | None
) -> inference_pb2.MultiInferenceResponse:
    """Run several classifications and regressions of one model in a single session run over the same examples."""
    tasks = [(task, _task_signature(task, call)) for task in _distinct(request)]
    examples = serialized(request.input)
    outputs = _run(call, [signature for _, signature in tasks], examples)
    response = inference_pb2.MultiInferenceResponse()
    for task, signature in tasks:
        result = response.results.add()
        fill_response_spec(result.model_spec, requested=task.model_spec, version=version)
        if task.method_name == CLASSIFY:
            _fill_classes(result.classification_result, signature, outputs, len(examples))
        else:
            _fill_numbers(result.regression_result, signature, outputs, len(examples))
    return response


def _distinct(request: inference_pb2.MultiInferenceRequest) -> list[inference_pb2.InferenceTask]:
    if any(not task.model_spec.name for task in request.tasks):
        raise invalid("Found ModelSpec with an empty model name.")
    if len({task.model_spec.name for task in request.tasks}) > 1:
        raise invalid("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
    seen: set[str] = set()
    for task in request.tasks:
        name = signatures.resolved(task.model_spec.signature_name)
        if name in seen:
            raise invalid(f"Duplicate evaluation of signature: {name}")
        seen.add(name)
    return list(request.tasks)


def _task_signature(task: inference_pb2.InferenceTask, call: Call) -> ExampleSignature:
    name = signatures.resolved(task.model_spec.signature_name)
    if name not in call.signatures:
        raise invalid(f"Requested signature not found in model graph: {name}")
    if task.method_name == CLASSIFY:
        return signatures.classification(call.signatures[name])
    if task.method_name == REGRESS:
        return signatures.regression(call.signatures[name])
    raise ServingError(Code.UNIMPLEMENTED, f"Unsupported signature method_name: {task.method_name}")


def _run(call: Call, tasks: list[ExampleSignature], examples: Array) -> dict[str, Array]:
    fetches = sorted({tensor for task in tasks for tensor in task.outputs.values()})
    feeds = dict.fromkeys(sorted({task.examples for task in tasks}), examples)
    call.examples = len(examples)
    return dict(zip(fetches, call.run(feeds, fetches), strict=True))


def _fill_classes(
    result: classification_pb2.ClassificationResult, signature: ExampleSignature, outputs: Mapping[str, Array], count: int
) -> None:
    columns = {alias: outputs[tensor] for alias, tensor in signature.outputs.items()}  # (examples, classes) each
    for alias, array in columns.items():
        if array.ndim != 2:
            raise invalid(f"Expected Tensor shape: [batch_size num_classes] but got {_shape(array)}")
        name, dtype = ("DT_STRING", object) if alias == "classes" else ("DT_FLOAT", np.float32)
        if array.dtype != dtype:
            raise invalid(f"Expected {alias} Tensor of {name}. Got: {array.dtype}")
        if len(array) != count:
            raise invalid(f"Expected {alias} output batch size of {count}. Got: {len(array)}")
    widths = {array.shape[1] for array in columns.values()}
    if len(widths) > 1:
        sizes = f"{columns['classes'].shape[1]} vs. {columns['scores'].shape[1]}"
        raise invalid(f"Tensors class and score should match in dim_size(1). Got {sizes}")
    lists = {alias: array.tolist() for alias, array in columns.items()}
    for row in range(count):
        classes = result.classifications.add().classes
        for column in range(*widths):
            entry = classes.add()
            if "classes" in lists:
                entry.label = lists["classes"][row][column].decode("utf-8", "replace")
            if "scores" in lists:
                entry.score = lists["scores"][row][column]


def _fill_numbers(result: regression_pb2.RegressionResult, signature: ExampleSignature, outputs: Mapping[str, Array], count: int) -> None:
    array = outputs[signature.outputs["outputs"]]
    if not (array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1)):
        raise invalid(f"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got {_shape(array)}")
    if len(array) != count:
        raise invalid(f"Input batch size did not match output batch size: {count} vs. {len(array)}")
    if array.dtype != np.float32:
        raise invalid(f"Expected output Tensor of DT_FLOAT.  Got: {array.dtype}")
    for value in array.ravel().tolist():
        result.regressions.add().value = value


def _shape(array: Array) -> str:
    return "[" + ",".join(map(str, array.shape)) + "]"
