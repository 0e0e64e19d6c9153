"""Build the model's tensors from a request: the same values, bit for bit, that ingestion writes into the examples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from components.contract.base_model import closest
from components.contract.columns import Column, signature_columns
from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.contract.features import GivenFeature, Number, Vector
from components.contract.values.local_time import clock_text
from components.contract.values.null_words import feature_words
from components.state.features import interaction_indices, state_readers
from components.state.keys import segment_key, session_hash
from components.state.reducer import Features
from serving.features.catalogue import Catalogue
from serving.features.request import Inputs, Request
from serving.features.segments import Segments
from serving.features.values import numbers, texts, vectors
from serving.state.interface import Known, StateStores

Values = NDArray[Any]


@dataclass(frozen=True)
class Query:
    """Name what to look up in the state; `keys` are the candidates, then each within the segment."""

    shopper: str
    keys: list[str]
    time_us: int
    session: int

    def look_up(self, states: StateStores) -> Known:
        """Return the answer of a store."""
        return states.known(self.shopper, self.keys, self.time_us, session=self.session)


@final
class RequestFeatures:
    """Build tensors of requests of one dataset.

    Args:
        dataset: the dataset file that the model was trained with.
        catalogue: of the last ingestion.
        states: whose histories hold the codes of the catalogue.
    """

    def __init__(self, dataset: Dataset, catalogue: Catalogue, states: StateStores) -> None:
        self._catalogue, self._states, self._segments = catalogue, states, Segments(dataset, catalogue)
        self._signature = signature_columns(dataset)
        inputs = {column.name for column in self._signature}
        event_features = dataset.input_features("events")
        self._clocks = tuple(feature for feature in event_features if feature.from_clock)
        self._zone, self._zone_feature = dataset.zone_name, dataset.zone_feature
        self._context = {feature.name: feature for feature in event_features if feature.side != "item" and feature not in self._clocks}
        self._shown = {feature.name: feature for feature in event_features if feature.side == "item"}
        self._words = {feature.name: feature_words(dataset, feature) for feature in event_features}
        self._user_readers, self._item_readers = state_readers(dataset, "user"), state_readers(dataset, "item")
        self._interactions = interaction_indices(dataset)
        self._item_columns = {name: column for name, column in catalogue.items.columns.items() if name in inputs}
        self._history = dataset.history
        self._actions = np.array([action.encode() for action in dataset.actions], np.object_)

    def inputs(self, request: Request, *, buckets: Sequence[int] = ()) -> Inputs:
        """Return the tensors of a request.

        Args:
            request: to be ranked.
            buckets: ascending lengths, to the next of which the candidates' list is padded (beyond the last: to a
                multiple of it), and the history then to its full length, so that a server sees few shapes.

        Raises:
            InputError: no candidate, a candidate without id, a feature that the dataset file doesn't read from events,
                a value of a wrong type, or a list of another length than the candidates'.
        """
        query = self.query(request)
        return self.assemble(request, query, query.look_up(self._states), buckets=buckets)

    def query(self, request: Request) -> Query:
        """Return what to look up in the state for a request.

        Raises:
            InputError: see `inputs`.
        """
        items = list(request.candidates)
        if not items:
            raise InputError("expected at least one candidate, got none; name the products to be ranked")
        if wrong := [item for item in items if type(item) is not str or not item]:
            raise InputError(f"expected candidates' ids as text, got {wrong[0]!r}; send the ids of the catalogue")
        session = session_hash(request.session) if request.session else 0
        segment = self._segments.key(request.shopper, request.context, time_us=request.time_us)
        in_segment = [] if segment is None else [segment_key(segment, item) for item in items]
        return Query(request.shopper, items + in_segment, request.time_us, session)

    def assemble(self, request: Request, query: Query, known: Known, *, buckets: Sequence[int] = ()) -> Inputs:
        """Return the tensors of a request, given the state's answer; see `inputs`."""
        items = query.keys[: len(request.candidates)]
        has_segment = len(query.keys) > len(items)
        key_state = None if known.items is None else known.items.values  # (L or 2 L, width)
        item_state = None if key_state is None else key_state[: len(items)]
        rows = self._catalogue.items.rows(items)
        value_rows = self._catalogue.items.at(rows, request.time_us)
        user = known.user.values
        context = self._request_features(self._context, {name: (value,) for name, value in request.context.items()}, length=1)
        zone = self._zone if self._zone_feature is None else context[self._zone_feature][0].decode()
        values: dict[str, Values] = {
            "user": _text(self._catalogue.users.pseudonym_of(request.shopper)),  # as in the log that the model is trained on
            **{clock.name: _text(clock_text(clock.key, request.time_us, zone)) for clock in self._clocks},
            **context,
            **self._catalogue.users.values(request.shopper, request.time_us),
            **{name: read(user) for name, read in self._user_readers.items()},
            "item": self._catalogue.encoded(rows, items),
            "position": self._positions(request),
            **self._request_features(self._shown, request.shown, length=len(items)),
            **{name: column[value_rows] for name, column in self._item_columns.items()},
            "n_candidates": np.array([len(items)], np.int64),
        }
        if item_state is not None:
            values |= {name: read(item_state) for name, read in self._item_readers.items()}
        if self._history is not None:
            values |= self._history_features(known.user, request.time_us)
        lengths = {"candidate": _padded_length(len(items), buckets), "history": known.user.history_item.shape[1] if buckets else 0}
        return Inputs(
            {column.name: _tensor(values[column.name], column, lengths) for column in self._signature},
            int(user[0, self._interactions].sum()),
            item_state,
            key_state[len(items) :] if key_state is not None and has_segment else None,
        )

    def _request_features(
        self, features: Mapping[str, GivenFeature], requested: Mapping[str, Sequence[Any]], *, length: int
    ) -> dict[str, Values]:
        for name, values in requested.items():
            if name not in features:
                raise InputError(f"{name!r} is no feature that the dataset file reads from a request; {closest(name, list(features))}")
            if isinstance(values, str) or len(values) != length:
                raise InputError(f"{name}: expected a list of {length} values, one for each candidate, got {len(values)}")
        missing = (None,) * length
        return {name: _clean(feature, requested.get(name, missing), self._words[name]) for name, feature in features.items()}

    def _positions(self, request: Request) -> NDArray[np.int64]:
        positions, length = request.positions, len(request.candidates)
        if positions is None:
            return np.arange(length)
        if len(positions) != length or not all(isinstance(position, int) for position in positions):
            raise InputError(f"positions: expected {length} whole numbers, one for each candidate, got {str(positions)[:80]}")
        return np.array(positions, np.int64)

    def _history_features(self, user: Features, time_us: int) -> dict[str, Values]:
        assert self._history is not None
        n = int(user.history_len[0])
        rows, names = self._catalogue.items_of_codes(user.history_item[0, :n])
        value_rows = self._catalogue.items.at(rows, time_us)
        columns = {name: names if name == "item" else self._catalogue.items.columns[name][value_rows] for name in self._history.fields}
        columns |= {"action": self._actions[user.history_action[0, :n]], "age_s": user.history_age_s[0, :n]}
        return {f"{self._history.name}_{name}": values for name, values in columns.items()} | {"n_history": np.array([n], np.int64)}


def _clean(feature: GivenFeature, values: Sequence[Any], words: frozenset[str]) -> Values:
    if isinstance(feature, Number):
        return numbers(feature, values, words=words)
    return vectors(feature, values) if isinstance(feature, Vector) else texts(feature, values, words=words)


def _text(value: str) -> NDArray[np.object_]:
    return np.array([value.encode()], np.object_)


def _padded_length(length: int, buckets: Sequence[int]) -> int:
    if not buckets:
        return length
    return next((bucket for bucket in buckets if bucket >= length), -(-length // buckets[-1]) * buckets[-1])


def _tensor(values: Values, column: Column, lengths: Mapping[str, int]) -> Values:
    """Return values as a batch of one, a list padded to the length of its axis."""
    if column.axis == "request":
        return values
    padding = lengths[column.axis] - len(values)
    if padding > 0:
        empty = np.zeros((padding, *values.shape[1:]), values.dtype)
        if values.dtype == np.object_:
            empty[:] = b""
        values = np.concatenate([values, empty])
    return values[None]
