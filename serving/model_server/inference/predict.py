"""Run Predict: named tensors to named tensors by one signature."""

from collections.abc import Iterable, Mapping, Sequence

from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import predict_pb2

from serving.model_server.errors import Code, ServingError, invalid
from serving.model_server.inference.model_spec import fill_response_spec
from serving.model_server.inference.runner import Call
from serving.model_server.inference.signature import resolved
from serving.model_server.inference.tensors import Array, fill_proto, to_array


def predict(request: predict_pb2.PredictRequest, call: Call, *, version: int | None, as_content: bool) -> predict_pb2.PredictResponse:
    """Predict. Raises FAILED_PRECONDITION for an unknown signature, INVALID_ARGUMENT for wrong inputs or filters."""
    name = resolved(request.model_spec.signature_name)
    signature = call.signatures.get(name)
    if signature is None:
        raise ServingError(Code.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
    tensors = _by_tensor_name(signature, request.inputs)
    aliases = _requested_outputs(signature, request.output_filter)
    feeds = {tensor: _parsed(alias, proto) for tensor, (alias, proto) in tensors.items()}
    call.check_dtypes({tensor: proto.dtype for tensor, (_, proto) in tensors.items()})
    outputs = call.run(feeds, [signature.outputs[alias].name for alias in aliases])
    response = predict_pb2.PredictResponse()
    fill_response_spec(response.model_spec, requested=request.model_spec, version=version)
    for alias, array in zip(aliases, outputs, strict=True):
        fill_proto(response.outputs[alias], array, as_content=as_content)
    return response


def _by_tensor_name(
    signature: meta_graph_pb2.SignatureDef, inputs: Mapping[str, tensor_pb2.TensorProto]
) -> dict[str, tuple[str, tensor_pb2.TensorProto]]:
    missing, extra = signature.inputs.keys() - inputs.keys(), inputs.keys() - signature.inputs.keys()
    if extra or missing - signature.defaults.keys():
        raise invalid(
            f"input size does not match signature: {len(inputs)}!={len(signature.inputs)} "
            f"len({_braced(inputs)}) != len({_braced(signature.inputs)}). "
            f"Sent extra: {_braced(extra)}. Missing but required: {_braced(missing)}."
        )
    by_tensor = {info.name: (alias, inputs[alias]) for alias, info in sorted(signature.inputs.items()) if alias in inputs}
    return by_tensor | {signature.inputs[alias].name: (alias, signature.defaults[alias]) for alias in sorted(missing)}


def _parsed(alias: str, proto: tensor_pb2.TensorProto) -> Array:
    try:
        return to_array(proto)
    except (TypeError, ValueError) as error:
        raise invalid(f"tensor parsing error: {alias}: {error}") from error


def _requested_outputs(signature: meta_graph_pb2.SignatureDef, output_filter: Sequence[str]) -> list[str]:
    seen: set[str] = set()
    for alias in output_filter:
        if alias not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set {_braced(signature.outputs)}."
            )
        if alias in seen:
            raise invalid(f"duplicate output tensor alias: {alias}")
        seen.add(alias)
    return list(output_filter) or sorted(signature.outputs)


def _braced(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"
