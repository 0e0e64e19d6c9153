"""What the trees are given: the inputs of a dataset's examples as one row a candidate, and crossings that a tree can't make itself.

By the feature table: numbers and state as they are (the position only where it is an input, so that the network has it too); categories
as categories; an id as its count among the training candidates; of several words their number; vectors number by number; a number that is
compared in its list as the network gets it, by rank and ratio. Of the history its length, its last age and action, and for each field that
it carries: how often the candidate's value is in it, how many events and seconds ago it was last, whether it is the last, and what was
done then; a number against the mean of its past ones. Of texts on both sides: how many words they share.
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
    """How codes become numbers, learnt from the training candidates."""

    categories: Mapping[str, NDArray[np.int64]]  # the sorted codes of each
    counts: Mapping[str, tuple[NDArray[np.int64], NDArray[np.float32]]]  # the sorted codes of each, and how many candidates have it

    def matrix(self, columns: Columns) -> NDArray[np.float32]:
        """Columns of N candidates to [N, F], in their order; missing and unseen values are NaN."""
        return np.stack([self._numbers(name, values) for name, values in columns.items()], axis=1)

    def _numbers(self, name: str, values: NDArray[Any]) -> NDArray[np.float32]:
        if name in self.categories:
            known = self.categories[name]
            return _found(known, values, np.arange(len(known), dtype=np.float32))
        if name in self.counts:
            return _found(self.counts[name][0], values, self.counts[name][1])
        return values.astype(np.float32)


def coding(dataset: Dataset, columns: Columns) -> Coding:
    """Learn the codes of training candidates."""
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
    """The columns of a batch's candidates."""
    row = features["label"].value_rowids()
    found: Columns = {}
    for column in input_columns(dataset):
        if column.axis != "history":
            values = features[column.name]
            flat = values.flat_values if column.axis == "candidate" else tf.gather(values, row)
            found |= _of_column(column, dataset.feature(column.feature), flat)
    for feature in dataset.features:
        if isinstance(feature, ListRelative):
            found[f"{feature.of}, rank in the list"] = rank_in_list(features[feature.of]).flat_values.numpy()
            found[f"{feature.of}, ratio to the list's mean"] = ratio_to_mean(features[feature.of]).flat_values.numpy()
    if dataset.history:
        found |= _of_history(dataset, dataset.history, features, row.numpy())
    return found | _shared_words(dataset, features, row.numpy())


def _of_column(column: Column, feature: Feature, flat: tf.Tensor) -> Columns:
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


def _of_history(dataset: Dataset, history: History, features: Features, row: NDArray[np.int64]) -> Columns:
    ages, actions = features[f"{history.name}_age_s"], features[f"{history.name}_action"]
    lengths = ages.row_lengths().numpy()
    last_age = tf.reduce_min(ages, axis=1).numpy()
    last = padded(actions)
    last_action = last[np.arange(len(lengths)), np.maximum(lengths - 1, 0)] if last.shape[1] else np.zeros(len(lengths), np.int64)
    found: Columns = {
        "history, events": lengths[row].astype(np.float32),
        "history, seconds since the last": np.where(lengths > 0, last_age, np.nan)[row].astype(np.float32),
        "history, last action": np.where(lengths > 0, last_action, 0)[row],
    }
    for field in history.fields:
        if isinstance(dataset.feature(field), Number):
            mean = tf.reduce_mean(features[f"{history.name}_{field}"], axis=1).numpy()[row]
            found[f"{field}, ratio to the history's mean"] = features[field].flat_values.numpy() / np.where(mean > 0, mean, np.nan)
            continue
        crossed = crossing(features, field, history.name)
        found |= {
            f"same {field}, times": crossed.times,
            f"same {field}, events since": crossed.events_since,
            f"same {field}, seconds since": crossed.seconds_since,
            f"same {field}, is the last": (crossed.events_since == 0).astype(np.float32),
            f"same {field}, last action": crossed.last_action,
        }
    return found


def _shared_words(dataset: Dataset, features: Features, row: NDArray[np.int64]) -> Columns:
    """For each text of the request and each text, category or list of values of a candidate; categories and values are words too."""
    found: Columns = {}
    for mine in dataset.features:
        if not (isinstance(mine, Text) and mine.side != "item"):
            continue
        asked = [_words(text) for text in features[mine.name].numpy()]
        for its in dataset.features:
            if its.side == "item" and isinstance(its, Text | Multi | Category):
                texts, which = np.unique(features[its.name].flat_values.numpy().astype(bytes), return_inverse=True)
                words = [_words(text) for text in texts]
                shared = [len(asked[request] & words[text]) for request, text in zip(row, which, strict=True)]
                found[f"words of {mine.name} in {its.name}"] = np.array(shared, np.float32)
    return found


def _words(text: bytes) -> frozenset[str]:
    return frozenset(re.findall(r"[^\W_]+", text.decode("utf-8", "replace").lower()))


def _found(known: NDArray[np.int64], values: NDArray[np.int64], numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    """The number of each value that is known, else NaN."""
    if not len(known):
        return np.full(len(values), np.nan, np.float32)
    at = np.minimum(np.searchsorted(known, values), len(known) - 1)
    return np.where(known[at] == values, numbers[at], np.float32(np.nan))
