"""Read the ModelSpec of a request, and write that of a response."""

from typing import Any

from tensorflow_serving.apis import model_pb2

from serving.model_server.errors import invalid
from serving.model_server.inference.signature import resolved


def required_model_spec(request: Any) -> model_pb2.ModelSpec:
    """Return the request's model spec. Raises INVALID_ARGUMENT where it has none."""
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    return request.model_spec


def fill_response_spec(spec: model_pb2.ModelSpec, *, requested: model_pb2.ModelSpec, version: int | None) -> None:
    """Write the requested name, the signature that was used, and the version that ran (None in a warm-up)."""
    spec.name = requested.name
    spec.signature_name = resolved(requested.signature_name)
    if version is not None:
        spec.version.value = version
