"""Weight positives in the loss by their revenue, quantity or margin: an order of 100 as twenty of 5."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import tensorflow as tf

from components.contract.columns import Column, columns, label_columns
from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.schema.parsing import parse

SHOWN_WEIGHT = "shown.weight"
"""Weight of each candidate in the loss; beside the features in training only."""

_READ_AT_ONCE = 512


@dataclass(frozen=True)
class AmountWeights:
    """Weight a candidate with one of the labels by its amount / mean, at least 0; any other by 1.

    Attributes:
        amount: its column.
        labels: columns of the actions that are weighted.
        mean: of the amounts of such candidates in the training split.
    """

    amount: str
    labels: tuple[str, ...]
    mean: float

    def columns(self, dataset: Dataset) -> tuple[Column, ...]:
        """Return the columns that the weights are computed from."""
        return tuple(column for column in columns(dataset) if column.name in {self.amount, *self.labels})

    def weights(self, parsed: Mapping[str, tf.RaggedTensor]) -> tf.RaggedTensor:
        """Compute the weights [B, (L)] from the parsed columns."""
        amount = parsed[self.amount]
        weight = tf.maximum(amount.flat_values, 0.0) / self.mean
        return amount.with_flat_values(tf.where(_acted(parsed, self.labels), weight, tf.ones_like(weight)))


def amount_weights(train_files: Sequence[str], dataset: Dataset, amount: str) -> AmountWeights:
    """Fit weights whose mean over the training requests' positives is 1; reads the files once.

    Raises:
        InputError: no positive has an amount above 0.
    """
    several = len(label_columns(dataset)) > 1
    labels = tuple(f"label_{name}" for name in dataset.amount_actions) if several else ("label",)
    unscaled = AmountWeights(amount, labels, 1.0)
    read = unscaled.columns(dataset)
    total, count = 0.0, 0
    for serialized in tf.data.TFRecordDataset(list(train_files)).batch(_READ_AT_ONCE):
        parsed = parse(serialized, read)
        amounts = tf.boolean_mask(tf.maximum(parsed[amount].flat_values, 0.0), _acted(parsed, labels)).numpy()
        total, count = total + float(amounts.sum(dtype="float64")), count + len(amounts)
    if total <= 0:
        raise InputError(
            f"model.weight_by: expected positives with a {amount} above 0 in the training window, found none among {count:,}; does the"
            f" role {amount!r} name the right column?"
        )
    return AmountWeights(amount, labels, total / count)


def _acted(parsed: Mapping[str, tf.RaggedTensor], labels: Sequence[str]) -> tf.Tensor:
    return tf.reduce_any(tf.stack([parsed[name].flat_values > 0 for name in labels]), axis=0)
