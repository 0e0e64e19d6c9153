"""Define TensorFlow Serving's messages for Predict, GetModelMetadata, GetModelStatus and HandleReloadConfigRequest.

They need no TensorFlow. The field numbers and types are those of predict.proto, model.proto, get_model_metadata.proto,
get_model_status.proto, status.proto, model_management.proto, model_server_config.proto,
file_system_storage_path_source.proto (tensorflow/serving), tensor.proto, tensor_shape.proto and types.proto
(tensorflow), so the bytes are the same. The message names are our own, in a descriptor pool of their own, so that a
process which also loads TensorFlow's descriptors, such as a test, has no conflicting definitions.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PREDICT = "/tensorflow.serving.PredictionService/Predict"
MODEL_METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"
MODEL_STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
RELOAD_CONFIG = "/tensorflow.serving.ModelService/HandleReloadConfigRequest"
AVAILABLE, END = 30, 50  # of ModelVersionStatus.State
_PACKAGE = "shelfrank.model"
_Field = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
    "float": _Field.TYPE_FLOAT,
    "double": _Field.TYPE_DOUBLE,
    "bool": _Field.TYPE_BOOL,
    "bytes": _Field.TYPE_BYTES,
    "string": _Field.TYPE_STRING,
}
# Message -> (number, name, type, repeated). A type that isn't among the scalars is a message.
_MESSAGES: dict[str, tuple[tuple[int, str, str, bool], ...]] = {
    "Int64Value": ((1, "value", "int64", False),),
    "ModelSpec": (
        (1, "name", "string", False),
        (2, "version", "Int64Value", False),
        (3, "signature_name", "string", False),
        (4, "version_label", "string", False),
    ),
    "Dim": ((1, "size", "int64", False),),
    "TensorShape": ((2, "dim", "Dim", True), (3, "unknown_rank", "bool", False)),
    "Tensor": (
        (1, "dtype", "int32", False),  # an enum there: the same on the wire
        (2, "tensor_shape", "TensorShape", False),
        (4, "tensor_content", "bytes", False),
        (5, "float_val", "float", True),
        (6, "double_val", "double", True),
        (7, "int_val", "int32", True),
        (8, "string_val", "bytes", True),
        (10, "int64_val", "int64", True),
        (11, "bool_val", "bool", True),
    ),
    # A map on the wire is a repeated message of key and value.
    "NamedTensor": ((1, "key", "string", False), (2, "value", "Tensor", False)),
    "PredictRequest": ((1, "model_spec", "ModelSpec", False), (2, "inputs", "NamedTensor", True), (3, "output_filter", "string", True)),
    "PredictResponse": ((1, "outputs", "NamedTensor", True), (2, "model_spec", "ModelSpec", False)),
    "MetadataRequest": ((1, "model_spec", "ModelSpec", False), (2, "metadata_field", "string", True)),
    "MetadataResponse": ((1, "model_spec", "ModelSpec", False),),  # what else it holds is passed over
    "ModelStatusRequest": ((1, "model_spec", "ModelSpec", False),),
    "Status": ((1, "error_code", "int32", False), (2, "error_message", "string", False)),  # the code is an enum there, and so is the state
    "VersionStatus": ((1, "version", "int64", False), (2, "state", "int32", False), (3, "status", "Status", False)),
    "ModelStatusResponse": ((1, "model_version_status", "VersionStatus", True),),
    "Specific": ((1, "versions", "int64", True),),
    "VersionPolicy": ((102, "specific", "Specific", False),),
    "VersionLabel": ((1, "key", "string", False), (2, "value", "int64", False)),
    "ModelConfig": (
        (1, "name", "string", False),
        (2, "base_path", "string", False),
        (4, "model_platform", "string", False),
        (7, "model_version_policy", "VersionPolicy", False),
        (8, "version_labels", "VersionLabel", True),
    ),
    "ModelConfigList": ((1, "config", "ModelConfig", True),),
    "ModelServerConfig": ((1, "model_config_list", "ModelConfigList", False),),
    "ReloadConfigRequest": ((1, "config", "ModelServerConfig", False),),
    "ReloadConfigResponse": ((1, "status", "Status", False),),
}


def _pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(name="shelfrank/model.proto", package=_PACKAGE, syntax="proto3")
    for message, fields in _MESSAGES.items():
        descriptor = file.message_type.add(name=message)
        for number, name, kind, repeated in fields:
            field = descriptor.field.add(name=name, number=number, label=_Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL)
            if kind in _TYPES:
                field.type = _TYPES[kind]
            else:
                field.type, field.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


_POOL = _pool()


def _message(name: str) -> Any:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


Tensor, PredictRequest, PredictResponse = _message("Tensor"), _message("PredictRequest"), _message("PredictResponse")
MetadataRequest, MetadataResponse = _message("MetadataRequest"), _message("MetadataResponse")
ModelStatusRequest, ModelStatusResponse = _message("ModelStatusRequest"), _message("ModelStatusResponse")
ReloadConfigRequest, ReloadConfigResponse = _message("ReloadConfigRequest"), _message("ReloadConfigResponse")
