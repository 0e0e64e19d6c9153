"""Read the values of a request from its tensors: of the request, of each candidate, of the shopper's history."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from components.contract.columns import input_columns
from components.contract.dataset import Dataset


@dataclass(frozen=True)
class Matches:
    """How many of a history's H events were on a candidate's value of a field, of them in the current visit or the last while."""

    events: int
    matching: int
    recent: int


@final
class RequestValues:
    """Give access to a request's tensors by column.

    Args:
        dataset: of the request.
        tensors: a batch of one, by input; may be padded.
        length: number of candidates, L.
    """

    def __init__(self, dataset: Dataset, tensors: Mapping[str, NDArray[Any]], length: int) -> None:
        self._tensors, self.length = tensors, length
        self._axes = {column.name: column.axis for column in input_columns(dataset)}
        self._history, self._gap_s = dataset.history, dataset.session_gap
        self._session_age = next((feature.name for feature in dataset.state_features if feature.measure == "session_age"), None)

    @property
    def events(self) -> int:
        """The number of events in the history."""
        return int(self._tensors["n_history"][0]) if self._history is not None else 0

    @property
    def has_visit(self) -> bool:
        """Whether the length of the current visit is known; else what is recent is younger than the session's gap."""
        return self._session_age is not None

    def value(self, column: str, candidate: int) -> Any:
        """Return a column's value: of the candidate, or of the request; text decoded."""
        values = self._tensors[column][0]
        value = values[candidate] if self._axes[column] == "candidate" else values
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value

    def numbers(self, column: str) -> NDArray[np.float64]:
        """Return a number of all candidates, [L], NaN where it is missing."""
        return self._tensors[column][0, : self.length].astype(np.float64)

    def matches(self, field: str, candidate: int) -> Matches:
        """Count the history's events whose item has the candidate's value of a field."""
        assert self._history is not None
        events = self.events
        own, past = self._tensors[field][0, candidate], self._tensors[f"{self._history.name}_{field}"][0, :events]
        ages = self._tensors[f"{self._history.name}_age_s"][0, :events]
        limit = float(self._tensors[self._session_age][0]) if self._session_age is not None else self._gap_s
        equal = np.array([value == own and bool(own) for value in past], np.bool_)
        return Matches(events, int(equal.sum()), int((equal & (ages <= limit)).sum()))
