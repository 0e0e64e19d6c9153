"""Take the features of a request from an ingestion's examples, where the log of the service hasn't got them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.contract.columns import Column, input_columns, signature_columns
from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.features import ListRelative
from components.drift.serving_skew import RequestFeatures
from components.drift.sketch.examples import batches
from pipeline.audit.decision import Decision
from pipeline.drift.request_features import computed_features

_DTYPES = {"string": np.dtype(object), "int64": np.dtype(np.int64), "float32": np.dtype(np.float32)}


@dataclass(frozen=True)
class ExampleTensors:
    """The tensors of a request's K candidates that the examples have, and their indices among the L of the decision.

    An example has the candidates that were seen. As a candidate's score doesn't depend on the others, theirs are the
    same without the rest, unless the dataset file has features of the kind `list`.
    """

    tensors: dict[str, NDArray[Any]]
    candidates: Sequence[int]
    length: int

    def spread(self, scores: NDArray[Any]) -> NDArray[np.float64]:
        """Return the scores [K] at their candidates [L], NaN elsewhere."""
        spread = np.full(self.length, np.nan)
        spread[list(self.candidates)] = scores[: len(self.candidates)]
        return spread


def example_tensors(examples: str, decision: Decision, dataset: Dataset) -> ExampleTensors | None:
    """Return the tensors of a decision's request from the examples; None where they haven't got it.

    Raises:
        InputError: the folder holds no examples.
    """
    splits = sorted(path.name.removeprefix("Split-") for path in Path(examples).glob("Split-*"))
    if not splits:
        raise InputError(f"{examples}: expected ingestion's examples, folders Split-NAME, got none")
    for split in splits:
        for batch in batches(examples, split):
            for computed in computed_features(batch, dataset, {decision.request}):
                if set(computed.items) <= set(decision.items):  # else another list of that id
                    return _tensors(computed, decision, dataset)
    return None


def lacks_whole_list(taken: ExampleTensors, dataset: Dataset) -> bool:
    """Return whether scores depend on candidates that the examples haven't got."""
    return len(taken.candidates) < taken.length and any(isinstance(feature, ListRelative) for feature in dataset.features)


def _tensors(computed: RequestFeatures, decision: Decision, dataset: Dataset) -> ExampleTensors:
    candidates = [decision.items.index(item) for item in computed.items]
    events = next((column.name for column in input_columns(dataset) if column.axis == "history"), None)
    lengths = {"n_candidates": len(computed.items), "n_history": 0 if events is None else len(computed.columns.get(events, ()))}
    # An example has the places that were shown; the request asked for those of the list as it was given.
    positions = [decision.first_position + candidate for candidate in candidates]
    tensors = {}
    for column in signature_columns(dataset):
        if column.name in lengths:
            tensors[column.name] = np.array([lengths[column.name]], np.int64)
        else:
            tensors[column.name] = _array(positions if column.name == "position" else computed.columns[column.name], column)
    return ExampleTensors(tensors, candidates, len(decision.items))


def _array(values: Sequence[Any], column: Column) -> NDArray[Any]:
    """Return the flat values of a column as a batch of one."""
    array: NDArray[Any] = np.empty(len(values), _DTYPES[column.dtype])
    array[:] = [value.encode() if isinstance(value, str) else value for value in values]
    if column.size > 1:
        array = array.reshape(-1, column.size)
    return array[:1] if column.axis == "request" and column.size == 1 else array if column.axis == "request" else array[None]
