"""Convert JSON values to tensors: a fast path for valid arrays of one type, and a slow one that locates a fault."""

import base64
import binascii
from itertools import chain
from typing import Any

import numpy as np
from tensorflow.core.framework import types_pb2

from serving.client.tensors import FIELDS
from serving.model_server.errors import Code, ServingError, invalid
from serving.model_server.inference.tensors import Array, dtype_name
from serving.model_server.rest.json_body import fault, shown, type_name

_RANGES = {
    # Small integer types are parsed as int32, as in TensorFlow Serving.
    **dict.fromkeys((types_pb2.DT_INT32, types_pb2.DT_INT16, types_pb2.DT_INT8, types_pb2.DT_UINT8), (-(2**31), 2**31 - 1)),
    types_pb2.DT_INT64: (-(2**63), 2**63 - 1),
    types_pb2.DT_UINT32: (0, 2**32 - 1),
    types_pb2.DT_UINT64: (0, 2**64 - 1),
}
_TYPES: dict[int, set[type]] = {
    types_pb2.DT_FLOAT: {int, float},
    types_pb2.DT_DOUBLE: {int, float},
    types_pb2.DT_BOOL: {bool},
    types_pb2.DT_STRING: {str, dict},
    **{number: {int} for number in _RANGES},
}


def is_base64(value: Any) -> bool:
    """Return whether the value is `{"b64": "..."}` without other keys."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def decoded(value: Any) -> bytes:
    """Decode a base64 object to bytes. Raises INVALID_ARGUMENT where it isn't one or isn't base64."""
    if not is_base64(value):
        raise fault(value, "not formatted correctly for base64 data")
    text = value["b64"].replace("-", "+").replace("_", "/")  # the URL-safe alphabet is accepted too
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid("Unable to base64 decode") from error


def shape_of(value: Any) -> tuple[int, ...]:
    """Infer the shape from the first element of each level."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return tuple(shape)


def to_array(value: Any, dtype: int) -> Array:
    """Convert a JSON value to a tensor. Raises INVALID_ARGUMENT for a ragged list or an element of another type."""
    if dtype not in _TYPES:
        raise ServingError(Code.UNIMPLEMENTED, f"Conversion of JSON Value: {shown(value)} to type: {dtype_name(dtype)}")
    shape = shape_of(value)
    flat = [value]
    for size in shape:
        if not all(type(items) is list and len(items) == size for items in flat):
            break
        flat = list(chain.from_iterable(flat))
    else:
        if set(map(type, flat)) <= _TYPES[dtype] and _in_range(flat, dtype):
            try:
                return _filled(flat, dtype).reshape(shape)
            except OverflowError as error:
                raise invalid("JSON Parse error: Number too big to be stored in double.") from error
    _find_fault(value, shape, dtype)
    raise invalid(f"JSON Value: {shown(value)} can't be read as {dtype_name(dtype)}")


def _in_range(flat: list[Any], dtype: int) -> bool:
    if dtype not in _RANGES or not flat:
        return True
    low, high = _RANGES[dtype]
    return bool(low <= min(flat) and max(flat) <= high)


def _filled(flat: list[Any], dtype: int) -> Array:
    kind: np.dtype[Any] = FIELDS[dtype][0]
    if not kind.hasobject:
        # Integers are narrowed without a check, and a number too large for float32 is infinite.
        wide = "i8" if kind == np.uint8 else {"f": "f8", "u": "u8", "i": "i8", "b": "?"}[kind.kind]
        with np.errstate(over="ignore"):
            return np.asarray(flat, wide).astype(kind)
    array: Array = np.empty(len(flat), object)
    array[:] = [item.encode() if type(item) is str else decoded(item) for item in flat]
    return array


def _find_fault(value: Any, shape: tuple[int, ...], dtype: int) -> None:
    def look(item: Any, level: int) -> None:
        if not isinstance(item, list):
            if level != len(shape):
                raise fault(item, f"found at incorrect level: {level + 1} in the JSON DOM. Expected at level: {len(shape)}")
            _check(item, dtype)
            return
        if level >= len(shape):
            raise invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
        if len(item) != shape[level]:
            raise invalid(f"Encountered list at unexpected size: {len(item)} at level: {level} expected size: {shape[level]}")
        for inner in item:
            look(inner, level + 1)

    look(value, 0)


def _check(item: Any, dtype: int) -> None:
    if dtype == types_pb2.DT_STRING and isinstance(item, dict):
        decoded(item)
    elif type(item) not in _TYPES[dtype] or not _in_range([item], dtype):
        raise fault(item, f"Type: {type_name(item)} is not of expected type: {dtype_name(dtype)}")
