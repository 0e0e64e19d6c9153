"""A Predict of TensorFlow Serving: the message that asks, and the answer read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from components.contract.errors import ModelUnavailable
from serving.client.messages import PredictRequest, PredictResponse
from serving.client.tensors import Array, read, write

NEWEST = "newest"  # how the label "" is called
Which = str | int  # a version of a model: by its label, "" being the newest, or by its number
Check = Callable[[Mapping[str, Array]], None]


@dataclass(frozen=True)
class Door:
    """What is asked on a server: a version, by a signature. What fails or is slow, fails by door."""

    label: Which
    signature: str


@dataclass(frozen=True)
class Prediction:
    """What the model answered: its outputs by name, and the version that did."""

    outputs: dict[str, Array]
    version: int | None


def named(which: Which) -> str:
    """How a version is told of in reasons, metrics and the log: by its label, or as `version N`."""
    return which if isinstance(which, str) else f"version {which}"


def bounded(name: str) -> str:
    """A version's name for a metric's label: without the number of one that was asked for by number, which callers choose."""
    return "version" if name.startswith("version ") else name


def asking(model: str, tensors: Mapping[str, Array], outputs: Sequence[str], door: Door) -> bytes:
    """The message. The same arrays in the same order make the same bytes."""
    request = PredictRequest(output_filter=outputs)
    request.model_spec.name, request.model_spec.signature_name = model, door.signature
    if isinstance(door.label, int):
        request.model_spec.version.value = door.label
    elif door.label:
        request.model_spec.version_label = door.label
    for name, array in tensors.items():
        named = request.inputs.add(key=name)
        write(named.value, array)
    message: bytes = request.SerializeToString()
    return message


def answered(answer: bytes, check: Check) -> Prediction:
    """The prediction.

    Raises:
        ModelUnavailable: `rubbish`, which can't be parsed, or which `check` refuses by a ValueError.
    """
    try:
        response = PredictResponse.FromString(answer)
        outputs = {named.key: read(named.value) for named in response.outputs}
        check(outputs)
    except (DecodeError, ValueError) as error:
        raise ModelUnavailable("rubbish", f"the model server's answer can't be used: {error}") from error
    spec = response.model_spec
    return Prediction(outputs, spec.version.value if spec.HasField("version") else None)
