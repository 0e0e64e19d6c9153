"""Batches of transformed requests from files of raw examples."""

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_transform as tft

from components.contract.columns import columns, input_columns, label_columns
from components.contract.dataset import Dataset
from components.contract.errors import InputError
from components.schema.parsing import Features, parse
from trainer.layout import SHOWN_POSITION

_SHUFFLED_REQUESTS = 20_000
_READ_AT_ONCE = 512
_CACHED_BYTES = 1 << 30
"""Splits up to this size on disk are transformed once and kept in memory; larger ones are read and transformed anew for each epoch."""


def batches(
    patterns: Sequence[str],
    graph: tft.TFTransformOutput,
    *,
    dataset: Dataset,
    requests: int,
    shuffle_seed: int | None = None,
    since_us: int | None = None,
) -> tf.data.Dataset:
    """(features, labels [B, (L)]) by batch, through the Transform graph; with a seed the requests are shuffled.

    With `since_us` only those from then on (microseconds since the epoch).

    Among the features is `SHOWN_POSITION`, which no score may depend on.

    Examples are parsed and transformed by whole batches. In a cached split the requests of a batch stay together and the batches are
    shuffled anew for each epoch.

    Raises:
        InputError: the files hold no request.
    """
    files = sorted(name for pattern in patterns for name in tf.io.gfile.glob(pattern))
    if next(iter(tf.data.TFRecordDataset(files).take(1)), None) is None:
        raise InputError(f"expected requests in {', '.join(patterns)}, found none; look at the windows in the dataset file")
    (position,) = (column for column in columns(dataset) if column.name == "position")
    read = dict.fromkeys((*input_columns(dataset), label_columns(dataset)[0], position))
    layer = graph.transform_features_layer()

    def transformed(serialized: tf.Tensor) -> tuple[Features, tf.RaggedTensor]:
        parsed = parse(serialized, read)
        labels = parsed.pop("label")
        shown = parsed["position"] if position.role == "input" else parsed.pop("position")
        return layer(parsed) | {SHOWN_POSITION: shown}, labels

    examples = tf.data.Dataset.from_tensor_slices(files)
    if shuffle_seed is not None:
        examples = examples.shuffle(max(len(files), 1), seed=shuffle_seed)
    examples = examples.interleave(tf.data.TFRecordDataset, cycle_length=8, block_length=64)
    if since_us is not None:
        examples = examples.batch(_READ_AT_ONCE).map(lambda records: tf.boolean_mask(records, _times(records) >= since_us)).unbatch()
    if shuffle_seed is not None:
        examples = examples.shuffle(_SHUFFLED_REQUESTS, seed=shuffle_seed)
    made = examples.batch(requests).map(transformed, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    if sum(tf.io.gfile.stat(name).length for name in files) <= _CACHED_BYTES:
        made = made.cache()
        if shuffle_seed is not None:
            made = made.shuffle(1024, seed=shuffle_seed)
    return made.prefetch(tf.data.AUTOTUNE)


def last_request_us(patterns: Sequence[str]) -> int:
    """Time of the last request in the files, microseconds since the epoch.

    Raises:
        InputError: the files hold no request.
    """
    files = [name for pattern in patterns for name in tf.io.gfile.glob(pattern)]
    found = tf.data.TFRecordDataset(files).batch(_READ_AT_ONCE).map(lambda records: tf.reduce_max(_times(records)))
    last = int(found.reduce(tf.int64.min, tf.maximum))
    if last == tf.int64.min:
        raise InputError(f"expected requests in {', '.join(patterns)}, found none; look at the windows in the dataset file")
    return last


def _times(records: tf.Tensor) -> tf.Tensor:
    """Times of serialized requests [B], microseconds since the epoch."""
    return tf.io.parse_example(records, {"time": tf.io.FixedLenFeature([], tf.int64)})["time"]
