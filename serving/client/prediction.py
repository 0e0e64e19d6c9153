"""Build Predict requests of TensorFlow Serving and parse their responses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from components.contract.errors import ModelUnavailable
from serving.client.messages import PredictRequest, PredictResponse
from serving.client.tensors import Array, read, write

NEWEST = "newest"  # display name of the label ""
ModelVersion = str | int  # a label ("" for the newest version), or a version number
Check = Callable[[Mapping[str, Array]], None]


@dataclass(frozen=True)
class Endpoint:
    """Name a version and a signature of the model. Failures and latencies are tracked for each endpoint."""

    label: ModelVersion
    signature: str


@dataclass(frozen=True)
class Prediction:
    """Hold the model's outputs by name, and the version that answered."""

    outputs: dict[str, Array]
    version: int | None


def version_name(version: ModelVersion) -> str:
    """Return the name of a version in reasons, metrics and logs: its label, or `version N`."""
    return version if isinstance(version, str) else f"version {version}"


def metric_label(name: str) -> str:
    """Return a version's name as a metric label, without a version's number: callers choose those."""
    return "version" if name.startswith("version ") else name


def predict_request(model: str, tensors: Mapping[str, Array], outputs: Sequence[str], endpoint: Endpoint) -> bytes:
    """Serialize a Predict request. The same arrays in the same order give the same bytes."""
    request = PredictRequest(output_filter=outputs)
    request.model_spec.name, request.model_spec.signature_name = model, endpoint.signature
    if isinstance(endpoint.label, int):
        request.model_spec.version.value = endpoint.label
    elif endpoint.label:
        request.model_spec.version_label = endpoint.label
    for name, array in tensors.items():
        entry = request.inputs.add(key=name)
        write(entry.value, array)
    message: bytes = request.SerializeToString()
    return message


def parse_response(answer: bytes, check: Check) -> Prediction:
    """Parse a Predict response.

    Raises:
        ModelUnavailable: `rubbish`, it can't be parsed, or `check` raises ValueError.
    """
    try:
        response = PredictResponse.FromString(answer)
        outputs = {entry.key: read(entry.value) for entry in response.outputs}
        check(outputs)
    except (DecodeError, ValueError) as error:
        raise ModelUnavailable("rubbish", f"the model server's answer can't be used: {error}") from error
    spec = response.model_spec
    return Prediction(outputs, spec.version.value if spec.HasField("version") else None)
