"""Parse TensorFlow Serving's config files in protobuf's text format whose messages no Python package holds.

The messages are declared here by the field names and numbers of its `session_bundle_config.proto` and
`monitoring_config.proto`.
"""

from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field

from serving.model_server.errors import invalid

_INT = ".google.protobuf.Int64Value"
_BOOL = ".google.protobuf.BoolValue"
_STRING = ".google.protobuf.StringValue"
_PACKAGE = "tensorflow.serving"
# message -> field -> (number, type: a message's name, or a scalar type, or a scalar type in a list)
_MESSAGES: dict[str, dict[str, tuple[int, str | int | list[int]]]] = {
    "BatchingParameters": {
        "max_batch_size": (1, _INT),
        "batch_timeout_micros": (2, _INT),
        "max_enqueued_batches": (3, _INT),
        "num_batch_threads": (4, _INT),
        "thread_pool_name": (5, _STRING),
        "allowed_batch_sizes": (6, [Field.TYPE_INT64]),
        "pad_variable_length_inputs": (7, Field.TYPE_BOOL),
        "enable_large_batch_splitting": (8, _BOOL),
        "max_execution_batch_size": (9, _INT),
    },
    "PrometheusConfig": {"enable": (1, Field.TYPE_BOOL), "path": (2, Field.TYPE_STRING)},
    "MonitoringConfig": {"prometheus_config": (1, f".{_PACKAGE}.PrometheusConfig")},
}


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(name="shelfrank/text_config.proto", package=_PACKAGE, syntax="proto3")
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            added = message.field.add(name=field, number=number, label=Field.LABEL_OPTIONAL)
            if isinstance(kind, str):
                added.type, added.type_name = Field.TYPE_MESSAGE, kind
            elif isinstance(kind, list):
                added.type, added.label = kind[0], Field.LABEL_REPEATED
            else:
                added.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return pool


def read(path: Path, message: str) -> Any:
    """Read a `BatchingParameters` or `MonitoringConfig` from a file. Raises INVALID_ARGUMENT for a fault."""
    parsed = message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{_PACKAGE}.{message}"))()
    try:
        text_format.Parse(path.read_text(), parsed)
    except OSError as error:
        raise invalid(f"can't read {path}: {error.strerror}; expected a {message} in protobuf's text format") from error
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise invalid(f"Error parsing text-format {_PACKAGE}.{message}: {path}: {error}") from error
    return parsed
