"""Compute the trees' inputs, one row a candidate, with interactions that a tree can't split on by itself.

By the feature table: numbers and state as they are (the position only where it is an input, so that the network has it
too); categories as categories; an id as its count among the training candidates; of bags of words their number; vectors
number by number; a list feature as the network gets it, by rank and ratio. Of the history its length, its last age and
action, and for each field: how often the candidate's value is in it, how many events and seconds ago it was last,
whether it is the last, and its action then; a number also divided by the mean of its past ones. Of texts on both sides:
how many words they share.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from components.contract.columns import Column, input_columns
from components.contract.dataset import Dataset
from components.contract.features import Category, Feature, History, Id, ListRelative, Multi, Number, Text, Vector
from components.schema.parsing import Features
from trainer.distillation.history_features import codes, crossing, padded
from trainer.model.list_features import rank_in_list, ratio_to_mean

Columns = dict[str, NDArray[Any]]
"""Values of N candidates by name: float32 numbers, or int64 codes of texts, 0 where missing."""


@dataclass(frozen=True)
class Coding:
    """Encode codes as numbers, as fitted to the training candidates."""

    categories: Mapping[str, NDArray[np.int64]]  # by name the sorted codes
    counts: Mapping[str, tuple[NDArray[np.int64], NDArray[np.float32]]]  # the sorted codes, and how many candidates have each

    def matrix(self, columns: Columns) -> NDArray[np.float32]:
        """Stack columns of N candidates to [N, F], in their order; missing and unseen values are NaN."""
        return np.stack([self._numbers(name, values) for name, values in columns.items()], axis=1)

    def _numbers(self, name: str, values: NDArray[Any]) -> NDArray[np.float32]:
        if name in self.categories:
            known = self.categories[name]
            return _look_up(known, values, np.arange(len(known), dtype=np.float32))
        if name in self.counts:
            return _look_up(self.counts[name][0], values, self.counts[name][1])
        return values.astype(np.float32)


def coding(dataset: Dataset, columns: Columns) -> Coding:
    """Fit the encoding to training candidates."""
    ids = {column.name for column in input_columns(dataset) if isinstance(dataset.feature(column.feature), Id)}
    categories, counts = {}, {}
    for name, values in columns.items():
        if values.dtype != np.int64:
            continue
        known, count = np.unique(values[values != 0], return_counts=True)
        if name in ids:
            counts[name] = (known, count.astype(np.float32))
        else:
            categories[name] = known
    return Coding(categories, counts)


def tree_inputs(dataset: Dataset, features: Features) -> Columns:
    """Compute the columns of a batch's candidates."""
    row = features["label"].value_rowids()
    columns: Columns = {}
    for column in input_columns(dataset):
        if column.axis != "history":
            values = features[column.name]
            flat = values.flat_values if column.axis == "candidate" else tf.gather(values, row)
            columns |= _column_inputs(column, dataset.feature(column.feature), flat)
    for feature in dataset.features:
        if isinstance(feature, ListRelative):
            columns[f"{feature.of}, rank in the list"] = rank_in_list(features[feature.of]).flat_values.numpy()
            columns[f"{feature.of}, ratio to the list's mean"] = ratio_to_mean(features[feature.of]).flat_values.numpy()
    if dataset.history:
        columns |= _history_inputs(dataset, dataset.history, features, row.numpy())
    return columns | _shared_words(dataset, features, row.numpy())


def _column_inputs(column: Column, feature: Feature, flat: tf.Tensor) -> Columns:
    """Compute the inputs of one column, given its values by candidate."""
    match feature:
        case Id() | Category():
            return {column.name: codes(flat)}
        case Multi():
            parts = tf.strings.split(flat, feature.separator).row_lengths().numpy()
            return {f"{column.name}, values": np.where(flat.numpy() == b"", 0, parts).astype(np.float32)}
        case Text():
            return {f"{column.name}, words": tf.strings.split(flat).row_lengths().numpy().astype(np.float32)}
        case Vector():
            numbers = tf.reshape(flat, [-1, column.size]).numpy()
            return {f"{column.name}, {at}": numbers[:, at] for at in range(column.size)}
        case _:
            numbers = flat.numpy().astype(np.float32)
            return {column.name: np.where(numbers < 0, np.nan, numbers) if column.name == "position" else numbers}


def _history_inputs(dataset: Dataset, history: History, features: Features, row: NDArray[np.int64]) -> Columns:
    """Compute the inputs of the history and of its matches with the candidates; `row` [N] is the request of each."""
    ages, actions = features[f"{history.name}_age_s"], features[f"{history.name}_action"]
    lengths = ages.row_lengths().numpy()
    last_age = tf.reduce_min(ages, axis=1).numpy()
    last = padded(actions)
    last_action = last[np.arange(len(lengths)), np.maximum(lengths - 1, 0)] if last.shape[1] else np.zeros(len(lengths), np.int64)
    columns: Columns = {
        "history, events": lengths[row].astype(np.float32),
        "history, seconds since the last": np.where(lengths > 0, last_age, np.nan)[row].astype(np.float32),
        "history, last action": np.where(lengths > 0, last_action, 0)[row],
    }
    for field in history.fields:
        if isinstance(dataset.feature(field), Number):
            mean = tf.reduce_mean(features[f"{history.name}_{field}"], axis=1).numpy()[row]
            columns[f"{field}, ratio to the history's mean"] = features[field].flat_values.numpy() / np.where(mean > 0, mean, np.nan)
            continue
        crossed = crossing(features, field, history.name)
        columns |= {
            f"same {field}, times": crossed.times,
            f"same {field}, events since": crossed.events_since,
            f"same {field}, seconds since": crossed.seconds_since,
            f"same {field}, is the last": (crossed.events_since == 0).astype(np.float32),
            f"same {field}, last action": crossed.last_action,
        }
    return columns


def _shared_words(dataset: Dataset, features: Features, row: NDArray[np.int64]) -> Columns:
    """Count the words that each text of the request shares with each text, category or value list of a candidate."""
    columns: Columns = {}
    texts = [feature for feature in dataset.features if feature.side != "item" and isinstance(feature, Text)]
    item_texts = [feature for feature in dataset.features if feature.side == "item" and isinstance(feature, Text | Multi | Category)]
    for text in texts:
        request_words = [_words(value) for value in features[text.name].numpy()]
        for item_text in item_texts:
            values, index = np.unique(features[item_text.name].flat_values.numpy().astype(bytes), return_inverse=True)
            item_words = [_words(value) for value in values]
            shared = [len(request_words[request] & item_words[value]) for request, value in zip(row, index, strict=True)]
            columns[f"words of {text.name} in {item_text.name}"] = np.array(shared, np.float32)
    return columns


def _words(text: bytes) -> frozenset[str]:
    return frozenset(re.findall(r"[^\W_]+", text.decode("utf-8", "replace").lower()))


def _look_up(known: NDArray[np.int64], values: NDArray[np.int64], numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    """Look up the number of each value, NaN where it isn't known."""
    if not len(known):
        return np.full(len(values), np.nan, np.float32)
    at = np.minimum(np.searchsorted(known, values), len(known) - 1)
    return np.where(known[at] == values, numbers[at], np.float32(np.nan))
