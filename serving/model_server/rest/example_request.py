"""Parse the tf.Examples of a `:classify` or `:regress` body."""

from typing import Any

from tensorflow.core.example import example_pb2, feature_pb2
from tensorflow_serving.apis import input_pb2

from serving.model_server.errors import ServingError, invalid
from serving.model_server.rest.json_body import fault, type_name
from serving.model_server.rest.json_tensors import decoded, is_base64

_KINDS = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64"}


def fill_input(document: dict[str, Any], message: input_pb2.Input) -> None:
    """Write `examples`, and `context` if there is one, into a request's input.

    Integers and booleans become int64 values, other numbers floats, strings and base64 objects bytes; a list holds one
    of these kinds. Raises INVALID_ARGUMENT for anything else.
    """
    target: input_pb2.ExampleList | input_pb2.ExampleListWithContext = message.example_list
    if "context" in document:
        target = message.example_list_with_context
        _fill_example(document["context"], message.example_list_with_context.context)
    if "examples" not in document:
        raise fault(document, "When method is classify, key 'examples' is expected and was not found")
    examples = document["examples"]
    if not isinstance(examples, list):
        raise fault(document, "Expecting 'examples' value to be an list/array")
    if not examples:
        raise fault(document, "'examples' value is an empty array")
    for value in examples:
        _fill_example(value, target.examples.add())


def _fill_example(value: Any, example: example_pb2.Example) -> None:
    if not isinstance(value, dict):
        raise invalid(f"Example must be JSON object but got JSON {type_name(value)}")
    for name, content in value.items():
        feature = example.features.feature[name]
        for item in content if isinstance(content, list) else [content]:
            _add(feature, name, item)


def _add(feature: feature_pb2.Feature, name: str, item: Any) -> None:
    if item is None or isinstance(item, list) or (isinstance(item, dict) and not is_base64(item)):
        raise invalid(f"Feature: {name} has element with unexpected JSON type: {type_name(item)}")
    if isinstance(item, dict | str):
        _values(feature, name, "bytes_list").append(item.encode() if isinstance(item, str) else decoded(item))
    elif isinstance(item, float):
        _values(feature, name, "float_list").append(item)
    else:
        values = _values(feature, name, "int64_list")
        if not -(2**63) <= item < 2**63:
            raise invalid(f"Feature: {name} has uint64_t element. Only int64_t is supported.")
        values.append(int(item))


def _values(feature: feature_pb2.Feature, name: str, kind: str) -> Any:
    has = feature.WhichOneof("kind")
    if has not in (None, kind):
        raise _mixed(name, has)
    return getattr(feature, kind).value


def _mixed(name: str, has: str) -> ServingError:
    return invalid(f"Unexpected element type in feature: {name} expecting type: {_KINDS[has]}")
