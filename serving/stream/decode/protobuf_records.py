"""Read Protobuf payloads: of one message type from a descriptor set, or each of its type in a schema registry."""

import base64
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, final

from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    message_factory,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message

from components.contract.base_model import closest
from components.contract.errors import InputError
from serving.stream.decode.payloads import plain
from serving.stream.decode.schema_registry import HEADER_BYTES, SchemaRegistry, UnknownSchema, schema_id

# What a schema may import; a file is in the pool of this process once its module is imported.
_WELL_KNOWN = {
    module.DESCRIPTOR.name: module.DESCRIPTOR
    for module in (any_pb2, descriptor_pb2, duration_pb2, empty_pb2, field_mask_pb2, struct_pb2, timestamp_pb2, wrappers_pb2)
}
_AS_TEXT = {"google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.FieldMask"}
_WRAPPERS = {
    f"google.protobuf.{name}Value" for name in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
}


@final
class ProtobufRecords:
    """Records of one message type.

    Args:
        file: a descriptor set, as `protoc --include_imports --descriptor_set_out` writes it.
        message: the type's full name, such as `shop.Event`.

    Raises:
        InputError: the file is none, or doesn't have the type.
    """

    def __init__(self, file: Path, message: str) -> None:
        pool = descriptor_pool.DescriptorPool()
        names: list[str] = []
        try:
            files = descriptor_pb2.FileDescriptorSet.FromString(file.read_bytes()).file
            for each in files:
                pool.Add(each)
                names += [f"{each.package}.{kind.name}".lstrip(".") for kind in each.message_type]
            if not names:
                raise ValueError("no message type in it")
            for name in names:
                pool.FindMessageTypeByName(name)
        except (OSError, DecodeError, TypeError, ValueError, KeyError) as error:
            raise InputError(
                f"{file}: expected a descriptor set, {type(error).__name__}: {error}; make it by protoc --include_imports"
                " --descriptor_set_out=FILE"
            ) from None
        try:
            self._type = message_factory.GetMessageClass(pool.FindMessageTypeByName(message))
        except KeyError:
            raise InputError(f"{file}: expected the message type {message!r}, which isn't there; {closest(message, names)}") from None

    def __call__(self, payload: bytes) -> Any:
        """Return a payload's record."""
        return _record(self._type.FromString(payload))


@final
class RegisteredProtobufRecords:
    """Records of message types in a registry, whose schemas may import Google's well-known types and no others."""

    def __init__(self, registry: SchemaRegistry) -> None:
        self._registry = registry
        self._types: dict[tuple[int, tuple[int, ...]], type[Message]] = {}

    def __call__(self, payload: bytes) -> Any:
        """Return a payload's record.

        Raises:
            UnknownSchema: the registry doesn't know its id, or the schema can't be used.
            SourceUnavailable: the registry doesn't answer.
        """
        number = schema_id(payload)
        path, begin = _message_path(payload, HEADER_BYTES)
        if (number, path) not in self._types:
            self._types[number, path] = self._type(number, path)
        return _record(self._types[number, path].FromString(payload[begin:]))

    def _type(self, number: int, path: tuple[int, ...]) -> type[Message]:
        registered = self._registry.schema(number, serialized=True)
        try:
            file = descriptor_pb2.FileDescriptorProto.FromString(base64.b64decode(registered["schema"], validate=True))
            file.name = file.name or f"schema-{number}.proto"
            pool = descriptor_pool.DescriptorPool()
            for name in file.dependency:
                known = descriptor_pb2.FileDescriptorProto()
                _WELL_KNOWN[name].CopyToProto(known)
                pool.Add(known)
            pool.Add(file)
            kinds, parts = file.message_type, [file.package] if file.package else []
            for at in path:
                parts.append(kinds[at].name)
                kinds = kinds[at].nested_type
            kind: type[Message] = message_factory.GetMessageClass(pool.FindMessageTypeByName(".".join(parts)))
        except (ValueError, DecodeError, KeyError, IndexError, TypeError) as error:
            raise UnknownSchema(f"schema {number} can't be used: {type(error).__name__}: {error}") from None
        return kind


def _message_path(payload: bytes, at: int) -> tuple[tuple[int, ...], int]:
    """Return which of a file's message types a payload is of, as indices of nested types, and where the message begins."""
    length, at = _zigzag(payload, at)
    if length == 0:
        return (0,), at
    path = []
    for _ in range(length):
        index, at = _zigzag(payload, at)
        path.append(index)
    return tuple(path), at


def _zigzag(payload: bytes, at: int) -> tuple[int, int]:
    number, shift = 0, 0
    while True:
        byte = payload[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at


def _record(message: Message) -> dict[str, Any]:
    """Return a message's fields; one that isn't set is left out, but for numbers, enums and the like that are 0 by being
    left out."""
    record = {}
    for name, convert, has_presence in _fields(message.DESCRIPTOR):
        if not has_presence or message.HasField(name):
            record[name] = convert(getattr(message, name))
    return record


@cache
def _fields(descriptor: Descriptor) -> list[tuple[str, Callable[[Any], Any], bool]]:
    return [(field.name, _converter(field), field.has_presence) for field in descriptor.fields]


def _converter(field: FieldDescriptor) -> Callable[[Any], Any]:
    single = _value_converter(field)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        value = _value_converter(field.message_type.fields_by_name["value"])
        return lambda entries: {str(key): value(each) for key, each in _items(entries)}
    if field.is_repeated:
        return lambda values: [single(each) for each in values]
    return single


def _items(entries: Mapping[Any, Any]) -> Any:
    return entries.items()


def _value_converter(field: FieldDescriptor) -> Callable[[Any], Any]:
    if field.message_type is not None:
        if field.message_type.full_name in _AS_TEXT:
            return lambda message: message.ToJsonString()
        if field.message_type.full_name in _WRAPPERS:
            return lambda message: message.value
        return _record
    if field.enum_type is not None:
        names = {number: value.name for number, value in field.enum_type.values_by_number.items()}
        return lambda number: names.get(number, number)
    return plain if field.type == FieldDescriptor.TYPE_BYTES else lambda value: value
