"""The ModelSpec of a request and of an answer."""

from typing import Any

from tensorflow_serving.apis import model_pb2

from serving.model_server.errors import invalid
from serving.model_server.inference.signature import resolved


def required(request: Any) -> model_pb2.ModelSpec:
    """The request's model spec. Raises INVALID_ARGUMENT where it has none."""
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    return request.model_spec


def fill_answer(spec: model_pb2.ModelSpec, *, asked: model_pb2.ModelSpec, version: int | None) -> None:
    """Echo the name, the signature that was used, and the version that answered (None in a warm-up)."""
    spec.name = asked.name
    spec.signature_name = resolved(asked.signature_name)
    if version is not None:
        spec.version.value = version
