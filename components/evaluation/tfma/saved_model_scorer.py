"""An exported model's scores of serialized requests, through the door by which it is judged."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
from numpy.typing import NDArray
from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder

from components.contract.errors import InputError

_REQUESTS_AT_ONCE = 1_000


def call_signature(signature: Any, serialized: tf.Tensor) -> Mapping[str, tf.Tensor]:
    """By name: given by place, TensorFlow first formats the whole block for an error message that it then drops."""
    (name,) = signature.structured_input_signature[1]
    return signature(**{name: serialized})  # type: ignore[no-any-return]


def unpadded(scores: NDArray[np.float32], row_lengths: NDArray[np.int64], *, model: str) -> NDArray[np.float32]:
    """The first row_lengths [R] scores of each row of [R, L], one after the other.

    Raises:
        InputError: if the model gave fewer rows or columns than there are requests or candidates.
    """
    longest = row_lengths.max(initial=0)
    if scores.ndim != 2 or len(scores) != len(row_lengths) or scores.shape[1] < longest:
        raise InputError(
            f"expected scores of shape ({len(row_lengths)}, {longest} or more) from model {model!r}, got {scores.shape}; "
            "its signature must return a row for each request and a column for each candidate"
        )
    return scores[np.arange(scores.shape[1]) < row_lengths[:, None]]


class SavedModelScorer:
    """An exported model's door for serialized examples."""

    def __init__(self, path: str) -> None:
        self._model = tf.saved_model.load(path)  # the signature alone doesn't keep its variables
        self._door = self._model.signatures["examples"]
        self._encoder = RecordBatchToExamplesEncoder()

    def __call__(self, block: pa.RecordBatch, row_lengths: NDArray[np.int64]) -> NDArray[np.float32]:
        """The scores of a block's candidates, one after the other [N]; row_lengths [R] says how many each request
        has."""
        scored = []
        for first in range(0, block.num_rows, _REQUESTS_AT_ONCE):
            some = slice(first, first + _REQUESTS_AT_ONCE)
            serialized = tf.constant(self._encoder.encode(block.slice(first, _REQUESTS_AT_ONCE)))
            scored.append(unpadded(call_signature(self._door, serialized)["scores"].numpy(), row_lengths[some], model="challenger"))
        return np.concatenate(scored) if scored else np.empty(0, np.float32)
