"""Score serialized requests by an exported model's signature `examples`, as Evaluator does."""

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
    """Call a signature by keyword: a positional call would format the whole block for an unused error message."""
    (name,) = signature.structured_input_signature[1]
    return signature(**{name: serialized})  # type: ignore[no-any-return]


def unpadded(scores: NDArray[np.float32], row_lengths: NDArray[np.int64], *, model: str) -> NDArray[np.float32]:
    """Take the first row_lengths [R] scores of each row of [R, L], flat [N].

    Raises:
        InputError: if the model returned fewer rows or columns than there are requests or candidates.
    """
    longest = row_lengths.max(initial=0)
    if scores.ndim != 2 or len(scores) != len(row_lengths) or scores.shape[1] < longest:
        raise InputError(
            f"expected scores of shape ({len(row_lengths)}, {longest} or more) from model {model!r}, got {scores.shape}; "
            "its signature must return a row for each request and a column for each candidate"
        )
    return scores[np.arange(scores.shape[1]) < row_lengths[:, None]]


class SavedModelScorer:
    """Score blocks of examples by an exported model's signature `examples`."""

    def __init__(self, path: str) -> None:
        self._model = tf.saved_model.load(path)  # the signature alone doesn't keep its variables
        self._signature = self._model.signatures["examples"]
        self._encoder = RecordBatchToExamplesEncoder()

    def __call__(self, block: pa.RecordBatch, row_lengths: NDArray[np.int64]) -> NDArray[np.float32]:
        """Score a block's candidates, flat [N]; row_lengths [R] is the number of candidates of each request."""
        scored = []
        for first in range(0, block.num_rows, _REQUESTS_AT_ONCE):
            batch = slice(first, first + _REQUESTS_AT_ONCE)
            serialized = tf.constant(self._encoder.encode(block.slice(first, _REQUESTS_AT_ONCE)))
            padded = call_signature(self._signature, serialized)["scores"].numpy()
            scored.append(unpadded(padded, row_lengths[batch], model="challenger"))
        return np.concatenate(scored) if scored else np.empty(0, np.float32)
