"""Resolve a request's signature, and the inputs and outputs of classification and regression in it."""

from collections.abc import Mapping
from dataclasses import dataclass

from tensorflow.core.protobuf import meta_graph_pb2

from serving.model_server.errors import invalid

DEFAULT = "serving_default"
CLASSIFY = "tensorflow/serving/classify"
REGRESS = "tensorflow/serving/regress"

Signatures = Mapping[str, meta_graph_pb2.SignatureDef]


@dataclass(frozen=True)
class ExampleSignature:
    """Tensor names: of the input of serialized tf.Examples [N], and of the outputs by alias."""

    examples: str
    outputs: Mapping[str, str]


def resolved(name: str) -> str:
    """Return the signature's name, the default one's for an empty name."""
    return name or DEFAULT


def signature_of(signatures: Signatures, name: str) -> meta_graph_pb2.SignatureDef:
    """Return the signature for classification or regression. Raises INVALID_ARGUMENT where it doesn't exist."""
    if resolved(name) not in signatures:
        raise invalid(f"No signature was found with the name: {resolved(name)}")
    return signatures[resolved(name)]


def classification(signature: meta_graph_pb2.SignatureDef) -> ExampleSignature:
    """Return the tensors of a signature with one input `inputs`, and the outputs `classes`, `scores` or both."""
    examples = _examples(signature, "classification", len(signature.outputs) in (1, 2), "one or two output Tensors")
    outputs = {alias: signature.outputs[alias].name for alias in ("classes", "scores") if alias in signature.outputs}
    if not outputs:
        raise invalid(
            'Expected classification signature outputs to contain at least one of "classes" or "scores". '
            f"Signature was: {_in_one_line(signature)}"
        )
    return ExampleSignature(examples, outputs)


def regression(signature: meta_graph_pb2.SignatureDef) -> ExampleSignature:
    """Return the tensors of a signature with one input `inputs` and one output `outputs`."""
    examples = _examples(signature, "regression", len(signature.outputs) == 1, "one output Tensor")
    if "outputs" not in signature.outputs:
        raise invalid(f"No regression outputs found in SignatureDef: {_in_one_line(signature)}")
    return ExampleSignature(examples, {"outputs": signature.outputs["outputs"].name})


def _examples(signature: meta_graph_pb2.SignatureDef, task: str, enough_outputs: bool, outputs: str) -> str:
    if len(signature.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if not enough_outputs:
        raise invalid(f"Expected {outputs}, found {len(signature.outputs)}")
    if "inputs" not in signature.inputs:
        raise invalid(f"No {task} inputs found in SignatureDef: {_in_one_line(signature)}")
    name: str = signature.inputs["inputs"].name
    return name


def _in_one_line(signature: meta_graph_pb2.SignatureDef) -> str:
    return " ".join(str(signature).split())
