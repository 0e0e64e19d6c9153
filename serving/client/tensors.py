"""Convert NumPy arrays to TensorProto messages and back."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# Numbers of tensorflow/core/framework/types.proto -> (array type, the repeated field that holds its values).
FIELDS: dict[int, tuple[np.dtype[Any], str]] = {
    1: (np.dtype("<f4"), "float_val"),
    2: (np.dtype("<f8"), "double_val"),
    9: (np.dtype("<i8"), "int64_val"),
    3: (np.dtype("<i4"), "int_val"),
    5: (np.dtype("<i2"), "int_val"),
    6: (np.dtype("i1"), "int_val"),
    4: (np.dtype("u1"), "int_val"),
    17: (np.dtype("<u2"), "int_val"),
    22: (np.dtype("<u4"), "uint32_val"),
    23: (np.dtype("<u8"), "uint64_val"),
    10: (np.dtype("?"), "bool_val"),
    7: (np.dtype(object), "string_val"),
}
NUMBERS = {dtype: number for number, (dtype, _) in FIELDS.items()}
MAX_VALUES = 1 << 24
_ANSWERED = (1, 2, 3, 7, 9, 10)  # the types that `messages.Tensor` has a field for


def shape_of(tensor: Any) -> tuple[list[int], bool]:
    """Return the sizes of a tensor's dimensions, and whether all are known."""
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    return shape, not tensor.tensor_shape.unknown_rank and all(size >= 0 for size in shape)


def from_content(tensor: Any, dtype: np.dtype[Any], shape: Sequence[int]) -> Array | None:
    """Return the values where they are given as bytes, None where they are given one by one.

    Raises:
        ValueError: there are more bytes than the shape takes, or fewer.
    """
    if not tensor.tensor_content or dtype.hasobject:
        return None
    size = math.prod(shape) * dtype.itemsize
    if len(tensor.tensor_content) != size:
        raise ValueError(f"expected {size} bytes for the shape {shape}, got {len(tensor.tensor_content)}")
    return np.frombuffer(tensor.tensor_content, dtype).reshape(shape)


def write(tensor: Any, array: Array) -> None:
    """Fill an empty tensor: numbers as their bytes, strings (an object array of bytes) as a list."""
    tensor.dtype = NUMBERS[array.dtype]
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
    if tensor.dtype not in _ANSWERED:
        raise ValueError(f"expected a tensor of the types {list(_ANSWERED)} of types.proto, got {tensor.dtype}")
    dtype, field = FIELDS[tensor.dtype]
    shape, full = shape_of(tensor)
    if not full:
        raise ValueError(f"expected a full shape, got {shape}")
    if (content := from_content(tensor, dtype, shape)) is not None:
        return content
    count = math.prod(shape)
    values = list(getattr(tensor, field))
    # A shape that can't be trusted mustn't cost memory, and nothing at all is no answer.
    if len(values) > count or (count and not values) or count > MAX_VALUES:
        raise ValueError(f"expected {count} values for the shape {shape}, got {len(values)}")
    array: Array = np.empty(count, dtype)
    array[: len(values)] = values
    array[len(values) :] = values[-1] if values else 0
    return array.reshape(shape)
