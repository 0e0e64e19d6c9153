"""Batches of transformed requests from files of raw examples."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import tensorflow as tf
import tensorflow_transform as tft
import tf_keras as keras

from components.contract.columns import columns, gain_amounts, gains, input_columns, label_columns
from components.contract.dataset import Dataset
from components.contract.errors import DatasetFileError, InputError
from components.schema.parsing import Features, parse
from trainer.distillation.soft_labels import ESTIMATE
from trainer.model.network_inputs import SHOWN_POSITION
from trainer.model.positive_weights import SHOWN_WEIGHT, AmountWeights

SHOWN_GAIN = "shown.gain"
"""What each candidate gained; beside the features in judging only."""

Batch = tuple[Features, tf.RaggedTensor]

_SHUFFLED_REQUESTS = 20_000
_SHUFFLED_BATCHES = 1024
_READ_AT_ONCE = 512
_CACHED_BYTES = 1 << 30
"""Splits up to this size on disk are transformed once and kept in memory; larger ones are read and transformed anew for each epoch."""


@dataclass(frozen=True)
class SoftLabels:
    """A teacher's estimates: a file for each file of requests, in their order, and their share in the labels."""

    files: Sequence[str]
    share: float


@dataclass(frozen=True)
class Share:
    """Which part of each step's requests an input pipeline makes: that of `worker` of `workers`, as one batch for each of its `replicas`.

    Every worker reads all serialized requests, in one order, and parses and transforms its own alone. So all take as many steps as one
    machine alone, of the same requests, however many files there are and however uneven; sharing out files would give neither.
    """

    worker: int = 0
    workers: int = 1
    replicas: int = 1

    @property
    def parts(self) -> int:
        """Batches that a step's requests are cut into."""
        return self.workers * self.replicas


class Epochs:
    """The training split, epoch by epoch: an epoch's batches and their order are a function of seed and epoch, and of nothing else.

    So training that was killed goes on with the batch after the last one seen. (tf.data's own reshuffling counts its iterations, which no
    checkpoint of ours could hold.)

    A batch is (features, labels [B, (L)] or, of several columns, [B, (L), A]), through the Transform graph; among the features is
    `SHOWN_POSITION`, which no score may depend on. Examples are parsed and transformed by whole batches. In a cached split the requests of
    a batch stay together and the batches are shuffled anew for each epoch. A step that is shared has exactly `requests` requests: those
    left over at the end of an epoch are dropped.

    Args:
        requests: in a step, over all workers and replicas.
        labels: their columns.
        since_us: only requests from then on, microseconds since the epoch.
        soft_labels: mixed into the labels.
        weights: of candidates by amount; then `SHOWN_WEIGHT` is among the features, too.
        cached_bytes: the greatest split on disk that is kept in memory.

    Raises:
        InputError: the files hold no request, or a shared step needs more than there are.
        DatasetFileError: a step's requests can't be shared out evenly.
    """

    def __init__(
        self,
        patterns: Sequence[str],
        graph: tft.TFTransformOutput,
        *,
        dataset: Dataset,
        requests: int,
        seed: int,
        labels: Sequence[str] = ("label",),
        soft_labels: SoftLabels | None = None,
        weights: AmountWeights | None = None,
        since_us: int | None = None,
        share: Share | None = None,
        cached_bytes: int = _CACHED_BYTES,
    ) -> None:
        self._files, first = request_files(patterns)
        self._soft_labels, self._since_us = soft_labels, since_us
        self._share, self._requests, self._seed = share or Share(), requests, seed
        if requests % self._share.parts:
            raise DatasetFileError(
                f"model.batch_requests: expected a multiple of the {self._share.parts} replicas that share a step, got {requests}"
            )
        layer = graph.transform_features_layer()
        self._transformed = _transformed(layer, dataset, labels, soft=soft_labels.share if soft_labels else 0.0, weights=weights)
        self.sample: Batch = _transformed(layer, dataset, labels, weights=weights)(tf.constant([first]))
        self._cached: tf.data.Dataset | None = None
        if _bytes(self._files) <= cached_bytes:
            self._cached = self._transform(self._serialized(0)).cache()
        if self._share.parts > 1 and next(iter(self._serialized(0).take(1)), None) is None:
            raise InputError(f"expected at least `model.batch_requests` ({requests}) training requests, found fewer; lower it")

    def epoch(self, number: int, *, skipped: int = 0) -> tf.data.Dataset:
        """The batches of an epoch, from 0, without those of the first `skipped` steps."""
        unseen = skipped * self._share.replicas
        if self._cached is None:
            return self._transform(self._serialized(number).skip(unseen)).prefetch(tf.data.AUTOTUNE)
        shuffled = self._cached.shuffle(_SHUFFLED_BATCHES, seed=_seed(self._seed, number), reshuffle_each_iteration=False)
        return shuffled.skip(unseen).prefetch(tf.data.AUTOTUNE)

    def steps(self) -> int:
        """Steps in an epoch. Reads the files once."""
        requests = int(self._wanted(_records(self._files)).batch(1024).reduce(0, lambda total, batch: total + tf.size(batch)))
        return requests // self._requests if self._share.parts > 1 else -(-requests // self._requests)

    def _serialized(self, number: int) -> tf.data.Dataset:
        """Batches of serialized requests, a share of a step each."""
        seed, share = _seed(self._seed, number), self._share
        soft = self._soft_labels
        files = tf.data.Dataset.from_tensor_slices((self._files, soft.files if soft else self._files))
        files = files.shuffle(len(self._files), seed=seed, reshuffle_each_iteration=False)
        read = files.interleave(_with_estimates if soft else _alone, cycle_length=8, block_length=64)
        shuffled = self._wanted(read).shuffle(_SHUFFLED_REQUESTS, seed=seed, reshuffle_each_iteration=False)
        if share.parts == 1:
            return shuffled.batch(self._requests)
        each = self._requests // share.parts
        own = slice(share.worker * share.replicas * each, (share.worker + 1) * share.replicas * each)
        return shuffled.batch(self._requests, drop_remainder=True).map(lambda step: step[own]).unbatch().batch(each)

    def _wanted(self, records: tf.data.Dataset) -> tf.data.Dataset:
        if self._since_us is None:
            return records
        return records.batch(_READ_AT_ONCE).map(partial(_since, since_us=self._since_us)).unbatch()

    def _transform(self, serialized: tf.data.Dataset) -> tf.data.Dataset:
        return serialized.map(self._transformed, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def batches(
    patterns: Sequence[str], graph: tft.TFTransformOutput, *, dataset: Dataset, requests: int, labels: Sequence[str] = ("label",)
) -> tf.data.Dataset:
    """(features, labels [B, (L)] or, of several columns, [B, (L), A]) by batch, in the files' order: what is judged.

    Both come through the Transform graph. Among the features are `SHOWN_POSITION` and `SHOWN_GAIN`, which no score may depend on.

    Raises:
        InputError: the files hold no request.
    """
    files, _ = request_files(patterns)
    transformed = _transformed(graph.transform_features_layer(), dataset, labels, gained=True)
    made = _records(files).batch(requests).map(transformed, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return (made.cache() if _bytes(files) <= _CACHED_BYTES else made).prefetch(tf.data.AUTOTUNE)


def request_files(patterns: Sequence[str]) -> tuple[list[str], bytes]:
    """The files that the patterns match, in the order in which they are read, and their first request.

    Raises:
        InputError: they hold none.
    """
    files = sorted(name for pattern in patterns for name in tf.io.gfile.glob(pattern))
    first = next(iter(tf.data.TFRecordDataset(files).take(1)), None)
    if first is None:
        raise InputError(f"expected requests in {', '.join(patterns)}, found none; look at the windows in the dataset file")
    return files, first.numpy()


def last_request_us(patterns: Sequence[str]) -> int:
    """Time of the last request in the files, microseconds since the epoch.

    Raises:
        InputError: the files hold no request.
    """
    files, _ = request_files(patterns)
    times = tf.data.TFRecordDataset(files).batch(_READ_AT_ONCE).map(_times)
    return max(int(each.numpy().max()) for each in times)


def _since(records: tf.Tensor, since_us: int) -> tf.Tensor:
    return tf.boolean_mask(records, _times(records) >= since_us)


def _times(records: tf.Tensor) -> tf.Tensor:
    """Times of serialized requests [B], microseconds since the epoch."""
    return tf.io.parse_example(records, {"time": tf.io.FixedLenFeature([], tf.int64)})["time"]


def _records(files: Sequence[str]) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(list(files)).interleave(tf.data.TFRecordDataset, cycle_length=8, block_length=64)


def _bytes(files: Sequence[str]) -> int:
    return sum(tf.io.gfile.stat(name).length for name in files)


def _seed(seed: int, epoch: int) -> int:
    return (seed * 1_000_003 + epoch) % (1 << 31)


def _with_estimates(name: tf.Tensor, estimates: tf.Tensor) -> tf.data.Dataset:
    """Requests with what a teacher says of them: two serialized messages in a row are their union."""
    pairs = tf.data.Dataset.zip((tf.data.TFRecordDataset(name), tf.data.TFRecordDataset(estimates)))
    return pairs.map(_joined)


def _alone(name: tf.Tensor, _estimates: tf.Tensor) -> tf.data.Dataset:
    return tf.data.TFRecordDataset(name)


def _joined(request: tf.Tensor, estimate: tf.Tensor) -> tf.Tensor:
    return tf.strings.join([request, estimate])


def _transformed(
    layer: keras.Model,
    dataset: Dataset,
    labels: Sequence[str],
    *,
    soft: float = 0.0,
    gained: bool = False,
    weights: AmountWeights | None = None,
) -> Callable[[tf.Tensor], Batch]:
    (position,) = (column for column in columns(dataset) if column.name == "position")
    worth = gains(dataset) if gained else {}
    by_amount = gain_amounts(dataset) if gained else {}
    wanted = [column for column in label_columns(dataset) if column.name in {*labels, *worth}]
    estimate = [replace(wanted[0], name=ESTIMATE)] if soft else []
    beside_them = [*(weights.columns(dataset) if weights else ()), *(c for c in columns(dataset) if c.name in by_amount.values())]
    inputs = input_columns(dataset)
    read = dict.fromkeys((*inputs, *wanted, *estimate, *beside_them, position))
    given = {column.name for column in inputs}

    def transformed(serialized: tf.Tensor) -> Batch:
        everything = parse(serialized, read)
        acted = {column.name: everything[column.name] for column in wanted}
        if soft:
            acted["label"] = (1 - soft) * acted["label"] + soft * everything[ESTIMATE]
        beside = {SHOWN_POSITION: everything["position"]}
        if worth:
            gain = {name: tf.cast(acted[name].flat_values > 0, tf.float32) * each for name, each in worth.items()}
            gain |= {name: gain[name] * tf.maximum(everything[amount].flat_values, 0.0) for name, amount in by_amount.items()}
            beside[SHOWN_GAIN] = acted[labels[0]].with_flat_values(tf.reduce_max(tf.stack(list(gain.values())), axis=0))
        if weights:
            beside[SHOWN_WEIGHT] = weights.of(everything)
        each = [acted[name] for name in labels]
        features = {name: values for name, values in everything.items() if name in given}
        return layer(features) | beside, each[0] if len(each) == 1 else tf.stack(each, axis=2)

    return transformed
