"""Batches of transformed requests from files of raw examples."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import tensorflow as tf
import tensorflow_transform as tft

from components.contract.columns import columns, input_columns, label_columns
from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.schema.parsing import Features, parse
from trainer.layout import SHOWN_POSITION
from trainer.teacher.soft_labels import ESTIMATE

_SHUFFLED_REQUESTS = 20_000
_CACHED_BYTES = 1 << 30
"""Splits up to this size on disk are transformed once and kept in memory; larger ones are read and transformed anew for each epoch."""


@dataclass(frozen=True)
class SoftLabels:
    """A teacher's estimates: a file for each file of requests, in their order, and their share in the labels."""

    files: Sequence[str]
    share: float


def found(patterns: Sequence[str]) -> list[str]:
    """The files that the patterns match, in the order in which they are read."""
    return sorted(name for pattern in patterns for name in tf.io.gfile.glob(pattern))


def batches(
    patterns: Sequence[str],
    graph: tft.TFTransformOutput,
    *,
    dataset: Dataset,
    requests: int,
    labels: Sequence[str] = ("label",),
    shuffle_seed: int | None = None,
    soft_labels: SoftLabels | None = None,
) -> tf.data.Dataset:
    """(features, labels) by batch, through the Transform graph; with a seed the requests are shuffled.

    Labels are ragged [B, (L)], or [B, (L), A] of several columns.

    Among the features is `SHOWN_POSITION`, which no score may depend on.

    Examples are parsed and transformed by whole batches. In a cached split the requests of a batch stay together and the batches are
    shuffled anew for each epoch.

    With `soft_labels` the labels are mixed with what a teacher says of these files.

    Raises:
        InputError: the files hold no request.
    """
    files = found(patterns)
    if next(iter(tf.data.TFRecordDataset(files).take(1)), None) is None:
        raise InputError(f"expected requests in {', '.join(patterns)}, found none; look at the windows in the dataset file")
    (position,) = (column for column in columns(dataset) if column.name == "position")
    wanted = [column for column in label_columns(dataset) if column.name in labels]
    estimate = [replace(wanted[0], name=ESTIMATE)] if soft_labels else []
    read = dict.fromkeys((*input_columns(dataset), *wanted, position, *estimate))
    layer = graph.transform_features_layer()

    def transformed(serialized: tf.Tensor) -> tuple[Features, tf.RaggedTensor]:
        parsed = parse(serialized, read)
        each = [parsed.pop(column.name) for column in wanted]
        if soft_labels:
            each[0] = (1 - soft_labels.share) * each[0] + soft_labels.share * parsed.pop(ESTIMATE)
        shown = parsed["position"] if position.role == "input" else parsed.pop("position")
        return layer(parsed) | {SHOWN_POSITION: shown}, each[0] if len(each) == 1 else tf.stack(each, axis=2)

    def records(name: tf.Tensor, estimates: tf.Tensor) -> tf.data.Dataset:
        requests = tf.data.TFRecordDataset(name)
        if soft_labels is None:
            return requests
        return tf.data.Dataset.zip((requests, tf.data.TFRecordDataset(estimates))).map(lambda *parts: tf.strings.join(parts))

    examples = tf.data.Dataset.from_tensor_slices((files, soft_labels.files if soft_labels else files))
    if shuffle_seed is not None:
        examples = examples.shuffle(max(len(files), 1), seed=shuffle_seed)
    examples = examples.interleave(records, cycle_length=8, block_length=64)
    if shuffle_seed is not None:
        examples = examples.shuffle(_SHUFFLED_REQUESTS, seed=shuffle_seed)
    made = examples.batch(requests).map(transformed, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    if sum(tf.io.gfile.stat(name).length for name in files) <= _CACHED_BYTES:
        made = made.cache()
        if shuffle_seed is not None:
            made = made.shuffle(1024, seed=shuffle_seed)
    return made.prefetch(tf.data.AUTOTUNE)
