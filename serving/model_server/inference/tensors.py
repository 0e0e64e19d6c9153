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

from serving.client.tensors import FIELDS, NUMBERS, from_content, shape_of

Array = np.ndarray[Any, Any]

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
    shape, full = shape_of(proto)
    if not full:
        raise ValueError(f"expected a full shape, got {proto.tensor_shape}")
    if (array := from_content(proto, dtype, shape)) is not None:
        return array
    count = math.prod(shape)
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
