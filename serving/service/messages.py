"""Load the messages of `shelfrank.proto` from its compiled form, and convert them to and from the REST bodies.

`shelfrank.protoset` beside it is the compiler's output (a test compiles it again and compares):

    python -m grpc_tools.protoc -I serving/service --descriptor_set_out=serving/service/shelfrank.protoset shelfrank.proto
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

COMPILED = Path(__file__).with_name("shelfrank.protoset")
PACKAGE = "shelfrank.v1"
SERVICE = f"{PACKAGE}.Ranking"
_VALUE, _VALUES = f"{PACKAGE}.Value", f"{PACKAGE}.Values"


def _pool() -> descriptor_pool.DescriptorPool:
    """Return a descriptor pool of its own: a client in the same process may have these names in the default one."""
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(COMPILED.read_bytes()).file:
        pool.Add(file)
    return pool


_POOL = _pool()


def message_class(name: str) -> Any:
    """Return the class of a message, by its name in the file."""
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{PACKAGE}.{name}"))


def to_body(message: Any) -> dict[str, Any]:
    """Return a request as a REST body: unset fields are absent, so that one schema validates both."""
    return {field.name: _field(field, content) for field, content in message.ListFields()}


def from_value(message: Any) -> Any:
    """Return a Value as JSON would hold it; None is missing."""
    kind = message.WhichOneof("kind")
    if kind is None:
        return None
    return [from_value(each) for each in message.list.values] if kind == "list" else getattr(message, kind)


def explain_response(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the response of `explain` as ExplainResponse takes it, which has the attributions without the words."""
    return {
        **{name: value for name, value in answer.items() if name not in ("reasons", "pairs")},
        "attributions": [{"values": row} for row in answer["attributions"]],
        "others": {name: {"values": [to_value(each) for each in values]} for name, values in answer["others"].items()},
    }


def to_value(content: Any) -> dict[str, Any]:
    """Return a JSON value as the fields of a Value."""
    match content:
        case None:
            return {}
        case bool():
            return {"truth": content}
        case int():
            return {"whole": content}
        case float():
            return {"number": content}
        case list():
            return {"list": {"values": [to_value(each) for each in content]}}
    return {"text": str(content)}


def _field(field: Any, content: Any) -> Any:
    kind = field.message_type
    if kind is None:
        return list(content) if field.is_repeated else content
    if not kind.GetOptions().map_entry:
        return [to_body(each) for each in content] if field.is_repeated else to_body(content)
    value_type = kind.fields_by_name["value"].message_type.full_name
    return {key: from_value(each) if value_type == _VALUE else [from_value(one) for one in each.values] for key, each in content.items()}
