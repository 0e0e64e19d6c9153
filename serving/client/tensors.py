"""Convert NumPy arrays to TensorProto messages and back."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# Numbers of tensorflow/core/framework/types.proto -> (array type, the repeated field that holds its values).
FIELDS: dict[int, tuple[np.dtype[Any], str]] = {
    1: (np.dtype("<f4"), "float_val"),
    2: (np.dtype("<f8"), "double_val"),
    3: (np.dtype("<i4"), "int_val"),
    7: (np.dtype(object), "string_val"),
    9: (np.dtype("<i8"), "int64_val"),
    10: (np.dtype("?"), "bool_val"),
}
MAX_VALUES = 1 << 24
_NUMBERS = {dtype: number for number, (dtype, _) in FIELDS.items()}


def write(tensor: Any, array: Array) -> None:
    """Fill an empty TensorProto: numbers as their bytes, strings (an object array of bytes) as a list."""
    tensor.dtype = _NUMBERS[array.dtype]
    tensor.tensor_shape.SetInParent()
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    if array.dtype.hasobject:
        tensor.string_val.extend(array.ravel().tolist())
    else:
        tensor.tensor_content = array.tobytes()


def read(tensor: Any) -> Array:
    """Return a TensorProto as an array; the last value repeats to fill the shape, as in TensorFlow.

    Raises:
        ValueError: an unsupported dtype, a shape that isn't fully defined, or values that don't fit it.
    """
    if tensor.dtype not in FIELDS:
        raise ValueError(f"expected a tensor of the types {sorted(FIELDS)} of types.proto, got {tensor.dtype}")
    dtype, field = FIELDS[tensor.dtype]
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    if tensor.tensor_shape.unknown_rank or any(size < 0 for size in shape):
        raise ValueError(f"expected a full shape, got {shape}")
    count = math.prod(shape)
    if tensor.tensor_content and not dtype.hasobject:
        if len(tensor.tensor_content) != count * dtype.itemsize:
            raise ValueError(f"expected {count * dtype.itemsize} bytes for the shape {shape}, got {len(tensor.tensor_content)}")
        return np.frombuffer(tensor.tensor_content, dtype).reshape(shape)
    values = list(getattr(tensor, field))
    # A shape that can't be trusted mustn't cost memory, and nothing at all is no answer.
    if len(values) > count or (count and not values) or count > MAX_VALUES:
        raise ValueError(f"expected {count} values for the shape {shape}, got {len(values)}")
    array: Array = np.empty(count, dtype)
    array[: len(values)] = values
    array[len(values) :] = values[-1] if values else 0
    return array.reshape(shape)
