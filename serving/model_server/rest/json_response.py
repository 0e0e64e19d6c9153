"""Render tensors, results and errors as JSON, by TensorFlow Serving's rules for numbers and bytes."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from tensorflow_serving.apis import classification_pb2, regression_pb2

from serving.model_server.errors import invalid
from serving.model_server.inference.tensors import Array


def decimal(value: float, kind: type[np.floating[Any]] = np.float32) -> str:
    """Render a float: six digits if they round-trip, else 9 or 17; `.0` after whole numbers; NaN, Infinity unquoted."""
    if not np.isfinite(value):
        return "NaN" if np.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    text = f"{value:.6g}"
    if kind(text) != kind(value):
        text = f"{value:.9g}" if kind is np.float32 else f"{value:.17g}"
    return text if "." in text or "e" in text else text + ".0"


def row_format(outputs: Mapping[str, Array]) -> str:
    """Render `predictions`: a list with a value for each row, or an object for each where there are several outputs.

    Raises INVALID_ARGUMENT where an output has no rows or another number of them.
    """
    sizes: set[int] = set()
    for name, array in sorted(outputs.items()):
        if not array.ndim:
            raise invalid(f"Tensor name: {name} has no shape information ")
        if sizes and len(array) not in sizes:
            raise invalid(f"Tensor name: {name} has inconsistent batch size: {len(array)} expecting: {min(sizes)}")
        sizes.add(len(array))
    texts = {name: _texts(array, as_bytes=_is_bytes(name)) for name, array in sorted(outputs.items())}
    per_row = {name: [_nested(row, outputs[name].shape[1:]) for row in _split(texts[name], outputs[name])] for name in texts}
    if len(per_row) == 1:
        (rows,) = per_row.values()
    else:
        columns = list(per_row)
        rows = [
            "{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in zip(columns, row, strict=True)) + "}"
            for row in zip(*per_row.values(), strict=True)
        ]
    return '{"predictions": [' + ", ".join(rows) + "]}"


def column_format(outputs: Mapping[str, Array]) -> str:
    """Render `outputs`: the tensor, or an object where there are several."""
    texts = {name: _nested(_texts(array, as_bytes=_is_bytes(name)), array.shape) for name, array in sorted(outputs.items())}
    if len(texts) == 1:
        return f'{{"outputs": {next(iter(texts.values()))}}}'
    return '{"outputs": {' + ", ".join(f"{json.dumps(name)}: {text}" for name, text in texts.items()) + "}}"


def classes(result: classification_pb2.ClassificationResult) -> str:
    """Render `results`: for each example a list of [label, score]."""
    rows = (
        "[" + ", ".join(f"[{json.dumps(entry.label, ensure_ascii=False)}, {decimal(entry.score)}]" for entry in row.classes) + "]"
        for row in result.classifications
    )
    return '{"results": [' + ", ".join(rows) + "]}"


def numbers(result: regression_pb2.RegressionResult) -> str:
    """Render `results`: a number for each example."""
    return '{"results": [' + ", ".join(decimal(entry.value) for entry in result.regressions) + "]}"


def error(message: str) -> str:
    """Render `error`, the message."""
    return json.dumps({"error": message}, ensure_ascii=False)


def _is_bytes(name: str) -> bool:
    return name.endswith("_bytes")


def _texts(array: Array, *, as_bytes: bool) -> list[str]:
    """Render each value, in order."""
    values = array.ravel().tolist()
    if array.dtype == object:
        if as_bytes:
            return [f'{{"b64": "{base64.b64encode(value).decode()}"}}' for value in values]
        # Bytes that aren't UTF-8 are sent unchanged.
        return [json.dumps(value.decode("utf-8", "surrogateescape"), ensure_ascii=False) for value in values]
    if array.dtype == bool:
        return ["true" if value else "false" for value in values]
    if array.dtype.kind == "f" and array.dtype.itemsize in (4, 8):
        return _decimals(array.ravel(), values)
    if array.dtype.kind in "iu":
        return list(map(str, values))
    raise invalid(f"Failed to write JSON value for tensor type: {array.dtype}")


def _decimals(array: Array, values: list[float]) -> list[str]:
    """Render many floats like `decimal`: the check whether six digits round-trip is one comparison of arrays."""
    short = [f"{value:.6g}" for value in values]
    exact = np.array(short, np.float64).astype(array.dtype) == array if values else []
    kind = array.dtype.type
    return [
        text if same and ("." in text or "e" in text) else decimal(value, kind)
        for text, same, value in zip(short, exact, values, strict=True)
    ]


def _split(texts: list[str], array: Array) -> list[list[str]]:
    size = len(texts) // len(array) if len(array) else 0
    return [texts[row * size : (row + 1) * size] for row in range(len(array))]


def _nested(texts: list[str], shape: tuple[int, ...]) -> str:
    """Nest values in brackets by shape, innermost first."""
    for axis in range(len(shape) - 1, -1, -1):
        size = shape[axis]
        groups = int(np.prod(shape[:axis], dtype=int))
        texts = ["[" + ", ".join(texts[group * size : (group + 1) * size]) + "]" for group in range(groups)]
    return texts[0]
