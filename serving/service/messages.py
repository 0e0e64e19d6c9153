"""The messages of `shelfrank.proto`, made from its compiled form, and how they turn into the bodies of the REST door and back.

`shelfrank.protoset` beside it is what the compiler makes of the file (a test compiles it again and compares):

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
    """One of its own: a client in the same process may have these names in the usual one."""
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(COMPILED.read_bytes()).file:
        pool.Add(file)
    return pool


_POOL = _pool()


def message(name: str) -> Any:
    """The class of a message, by its name in the file."""
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{PACKAGE}.{name}"))


def fields(of: Any) -> dict[str, Any]:
    """A request as the body that the REST door takes: what isn't set is left out, so that one set of rules checks both."""
    return {field.name: _told(field, value) for field, value in of.ListFields()}


def value(of: Any) -> Any:
    """A Value as JSON would hold it; None is missing."""
    kind = of.WhichOneof("kind")
    if kind is None:
        return None
    return [value(each) for each in of.list.values] if kind == "list" else getattr(of, kind)


def explained(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of `explain` as ExplainResponse takes it."""
    return {
        **answer,
        "attributions": [{"values": row} for row in answer["attributions"]],
        "others": {name: {"values": [as_value(each) for each in values]} for name, values in answer["others"].items()},
    }


def as_value(of: Any) -> dict[str, Any]:
    """What JSON holds as the fields of a Value."""
    match of:
        case None:
            return {}
        case bool():
            return {"truth": of}
        case int():
            return {"whole": of}
        case float():
            return {"number": of}
        case list():
            return {"list": {"values": [as_value(each) for each in of]}}
    return {"text": str(of)}


def _told(field: Any, found: Any) -> Any:
    kind = field.message_type
    if kind is None:
        return list(found) if field.is_repeated else found
    if not kind.GetOptions().map_entry:
        return [fields(each) for each in found] if field.is_repeated else fields(found)
    of = kind.fields_by_name["value"].message_type.full_name
    return {key: value(each) if of == _VALUE else [value(one) for one in each.values] for key, each in found.items()}
