"""Convert TensorProto to array and back, without a Python value for each element wherever the wire format allows it.

A packed `float_val` or `double_val` on the wire is the array's own little-endian bytes, so an output is written by
joining bytes. Inputs come fastest as `tensor_content`, which is what `tf.make_tensor_proto` writes for an array.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow.python.framework import tensor_util

Array = np.ndarray[Any, Any]

# dtype -> (array type, the repeated field that holds its values)
FIELDS: dict[int, tuple[np.dtype[Any], str]] = {
    types_pb2.DT_FLOAT: (np.dtype("<f4"), "float_val"),
    types_pb2.DT_DOUBLE: (np.dtype("<f8"), "double_val"),
    types_pb2.DT_INT64: (np.dtype("<i8"), "int64_val"),
    types_pb2.DT_INT32: (np.dtype("<i4"), "int_val"),
    types_pb2.DT_INT16: (np.dtype("<i2"), "int_val"),
    types_pb2.DT_INT8: (np.dtype("i1"), "int_val"),
    types_pb2.DT_UINT8: (np.dtype("u1"), "int_val"),
    types_pb2.DT_UINT16: (np.dtype("<u2"), "int_val"),
    types_pb2.DT_UINT32: (np.dtype("<u4"), "uint32_val"),
    types_pb2.DT_UINT64: (np.dtype("<u8"), "uint64_val"),
    types_pb2.DT_BOOL: (np.dtype("?"), "bool_val"),
    types_pb2.DT_STRING: (np.dtype(object), "string_val"),
}
NUMBERS = {dtype: number for number, (dtype, _) in FIELDS.items()}
# The tag of the packed field: its number shifted by three, wire type 2.
PACKED_TAGS = {types_pb2.DT_FLOAT: b"\x2a", types_pb2.DT_DOUBLE: b"\x32"}


def dtype_name(number: int) -> str:
    """Return the type's name in TensorFlow's messages: `float`, `int64`, `string`."""
    name: str = types_pb2.DataType.Name(number)
    return name.removeprefix("DT_").lower()


def to_array(proto: tensor_pb2.TensorProto) -> Array:
    """Return the tensor as an array; strings as an object array of bytes.

    As in TensorFlow, fewer values than the shape asks for repeat the last one, and no value at all is zero.
    Raises ValueError when the shape is unknown or negative, or `tensor_content` isn't as long as the shape says.
    """
    if proto.dtype not in FIELDS:
        return np.asarray(tensor_util.MakeNdarray(proto))
    dtype, field = FIELDS[proto.dtype]
    shape = [dim.size for dim in proto.tensor_shape.dim]
    if proto.tensor_shape.unknown_rank or any(size < 0 for size in shape):
        raise ValueError(f"expected a full shape, got {proto.tensor_shape}")
    count = math.prod(shape)
    if proto.tensor_content and not dtype.hasobject:
        if len(proto.tensor_content) != count * dtype.itemsize:
            raise ValueError(f"expected {count * dtype.itemsize} bytes for the shape {shape}, got {len(proto.tensor_content)}")
        return np.frombuffer(proto.tensor_content, dtype).reshape(shape)
    values = getattr(proto, field)
    if len(values) == count:
        return _array(values, dtype).reshape(shape)
    array = _array(values[:count], dtype)
    last: Any = array[-1] if len(array) else b"" if dtype.hasobject else 0
    filled: Array = np.full(count, last, dtype)
    filled[: len(array)] = array
    return filled.reshape(shape)


def _array(values: Sequence[Any], dtype: np.dtype[Any]) -> Array:
    if not dtype.hasobject:
        return np.fromiter(values, dtype, len(values))
    array: Array = np.empty(len(values), object)  # numpy would shorten strings that end in zero bytes
    array[:] = values
    return array


def fill_proto(proto: tensor_pb2.TensorProto, array: Array, *, as_content: bool) -> None:
    """Write an array into an empty TensorProto: as a repeated field like TensorFlow Serving, or as `tensor_content`."""
    if array.dtype not in NUMBERS and not array.dtype.hasobject:
        proto.CopyFrom(tensor_util.make_tensor_proto(array))
        return
    number = NUMBERS[array.dtype] if not array.dtype.hasobject else types_pb2.DT_STRING
    proto.dtype = number
    for size in array.shape:
        proto.tensor_shape.dim.add().size = size
    if not array.size:
        proto.tensor_shape.SetInParent()
    elif as_content and not array.dtype.hasobject:
        proto.tensor_content = array.tobytes()
    elif number in PACKED_TAGS:
        proto.MergeFromString(PACKED_TAGS[number] + _varint(array.nbytes) + array.tobytes())
    else:
        getattr(proto, FIELDS[number][1]).extend(array.ravel().tolist())


def _varint(value: int) -> bytes:
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)
