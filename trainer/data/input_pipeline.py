"""Read batches of transformed requests from files of raw examples."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
import tf_keras as keras
from numpy.typing import NDArray

from components.contract.columns import columns, gain_amounts, gains, input_columns, label_columns
from components.contract.dataset import Dataset
from components.contract.errors import DatasetFileError, InputError
from components.schema.parsing import Features, parse
from trainer.distillation.soft_labels import ESTIMATE
from trainer.model.network_inputs import SHOWN_POSITION
from trainer.model.positive_weights import SHOWN_WEIGHT, AmountWeights

SHOWN_GAIN = "shown.gain"
"""Gain of each candidate; beside the features in evaluation only."""

Batch = tuple[Features, tf.RaggedTensor]

_SHUFFLED_REQUESTS = 20_000
_SHUFFLED_BATCHES = 1024
_READ_AT_ONCE = 512
_CACHED_BYTES = 1 << 30
"""Greatest size on disk of a split that is cached in memory; larger ones are read and transformed in each epoch."""


@dataclass(frozen=True)
class SoftLabels:
    """A teacher's estimates: a file for each file of requests, in their order, and their share in the labels."""

    files: Sequence[str]
    share: float


@dataclass(frozen=True)
class TrainingExamples:
    """The requests to train on, and what their labels and weights are made of."""

    patterns: Sequence[str]  # of their files
    labels: tuple[str, ...] = ("label",)  # columns
    soft_labels: SoftLabels | None = None
    weights: AmountWeights | None = None  # then `SHOWN_WEIGHT` is among the features


@dataclass(frozen=True)
class BatchShard:
    """The part of each global batch that one worker prepares, as one batch for each of its replicas.

    Every worker reads all serialized requests, in one order, and parses and transforms its own alone. So all workers
    take as many steps as a single machine, of the same requests, however many files there are and however uneven;
    sharding by file would give neither.
    """

    worker: int = 0
    workers: int = 1
    replicas: int = 1

    @property
    def parts(self) -> int:
        """Return the number of replica batches in a global batch."""
        return self.workers * self.replicas


class Epochs:
    """Read the training split, epoch by epoch: an epoch's batches and their order depend on seed and epoch alone.

    So a killed training resumes with the batch after the last one it took. (tf.data's own reshuffling counts its
    iterations, and that count can't be put into a checkpoint.)

    A batch is (features, labels [B, (L)] or, of several columns, [B, (L), A]), through the Transform graph; among the
    features is `SHOWN_POSITION`, which no score may depend on. Examples are parsed and transformed by whole batches. In
    a cached split the requests of a batch stay together and the batches are shuffled for each epoch. A sharded step has
    exactly `requests` requests: those left over at the end of an epoch are dropped.

    Args:
        requests: in a global batch, over all workers and replicas.
        shard: the part of a global batch to read.
        cached_bytes: the greatest split on disk that is cached in memory.

    Attributes:
        sample: a batch of one request.

    Raises:
        InputError: the files hold no request, or fewer than a sharded step needs.
        DatasetFileError: `requests` is no multiple of the number of replicas.
    """

    def __init__(
        self,
        examples: TrainingExamples,
        graph: tft.TFTransformOutput,
        *,
        dataset: Dataset,
        requests: int,
        seed: int,
        shard: BatchShard | None = None,
        cached_bytes: int = _CACHED_BYTES,
    ) -> None:
        self._examples, self._requests, self._seed, self._shard = examples, requests, seed, shard or BatchShard()
        self._files, first = request_files(examples.patterns)
        if requests % self._shard.parts:
            raise DatasetFileError(
                f"model.batch_requests: expected a multiple of the {self._shard.parts} replicas that share a step, got {requests}"
            )
        layer, labels, weights = graph.transform_features_layer(), examples.labels, examples.weights
        soft = examples.soft_labels.share if examples.soft_labels else 0.0
        self._parse_batch = _batch_parser(layer, dataset, labels, soft=soft, weights=weights)
        self.sample: Batch = _batch_parser(layer, dataset, labels, weights=weights)(tf.constant([first]))
        self._cached: tf.data.Dataset | None = None
        if _bytes(self._files) <= cached_bytes:
            self._cached = self._transform(self._serialized(0)).cache()
        if self._shard.parts > 1 and next(iter(self._serialized(0).take(1)), None) is None:
            raise InputError(f"expected at least `model.batch_requests` ({requests}) training requests, found fewer; lower it")

    def epoch(self, number: int, *, skipped: int = 0) -> tf.data.Dataset:
        """Return the batches of an epoch, from 0, without those of the first `skipped` steps."""
        skipped_batches = skipped * self._shard.replicas
        if self._cached is None:
            return self._transform(self._serialized(number).skip(skipped_batches)).prefetch(tf.data.AUTOTUNE)
        shuffled = self._cached.shuffle(_SHUFFLED_BATCHES, seed=_seed(self._seed, number), reshuffle_each_iteration=False)
        return shuffled.skip(skipped_batches).prefetch(tf.data.AUTOTUNE)

    def steps(self) -> int:
        """Count the steps in an epoch; reads the files once."""
        requests = int(_records(self._files).batch(1024).reduce(0, lambda total, batch: total + tf.size(batch)))
        return requests // self._requests if self._shard.parts > 1 else -(-requests // self._requests)

    def _serialized(self, number: int) -> tf.data.Dataset:
        """Return an epoch's batches of serialized requests in their order, one for each of this worker's replicas and
        step.
        """
        seed, shard, soft = _seed(self._seed, number), self._shard, self._examples.soft_labels
        files = tf.data.Dataset.from_tensor_slices((self._files, soft.files if soft else self._files))
        files = files.shuffle(len(self._files), seed=seed, reshuffle_each_iteration=False)
        read = files.interleave(_with_estimates if soft else _without_estimates, cycle_length=8, block_length=64)
        shuffled = read.shuffle(_SHUFFLED_REQUESTS, seed=seed, reshuffle_each_iteration=False)
        if shard.parts == 1:
            return shuffled.batch(self._requests)
        per_replica = self._requests // shard.parts
        own = slice(shard.worker * shard.replicas * per_replica, (shard.worker + 1) * shard.replicas * per_replica)
        return shuffled.batch(self._requests, drop_remainder=True).map(lambda step: step[own]).unbatch().batch(per_replica)

    def _transform(self, serialized: tf.data.Dataset) -> tf.data.Dataset:
        return serialized.map(self._parse_batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def batches(
    patterns: Sequence[str], graph: tft.TFTransformOutput, *, dataset: Dataset, requests: int, labels: Sequence[str] = ("label",)
) -> tf.data.Dataset:
    """Return an evaluation's batches in the files' order: (features, labels [B, (L)], or [B, (L), A] of several
    columns).

    Features come through the Transform graph. Among the features are `SHOWN_POSITION` and `SHOWN_GAIN`, which no score
    may depend on.

    Raises:
        InputError: the files hold no request.
    """
    files, _ = request_files(patterns)
    parse_batch = _batch_parser(graph.transform_features_layer(), dataset, labels, with_gain=True)
    parsed = _records(files).batch(requests).map(parse_batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return (parsed.cache() if _bytes(files) <= _CACHED_BYTES else parsed).prefetch(tf.data.AUTOTUNE)


def request_files(patterns: Sequence[str]) -> tuple[list[str], bytes]:
    """List the files that the patterns match, in the order in which they are read, and read their first request.

    Raises:
        InputError: they hold none.
    """
    files = sorted(name for pattern in patterns for name in tf.io.gfile.glob(pattern))
    first = next(iter(tf.data.TFRecordDataset(files).take(1)), None)
    if first is None:
        raise InputError(f"expected requests in {', '.join(patterns)}, found none; look at the windows in the dataset file")
    return files, first.numpy()


def request_times(patterns: Sequence[str]) -> NDArray[np.int64]:
    """Read the times of the requests [R] in the files' order, microseconds since the epoch.

    Raises:
        InputError: the files hold no request.
    """
    files, _ = request_files(patterns)
    column = {"time": tf.io.FixedLenFeature([], tf.int64)}
    batches = tf.data.TFRecordDataset(files).batch(_READ_AT_ONCE).map(lambda records: tf.io.parse_example(records, column)["time"])
    return np.concatenate([times.numpy() for times in batches])


def _records(files: Sequence[str]) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(list(files)).interleave(tf.data.TFRecordDataset, cycle_length=8, block_length=64)


def _bytes(files: Sequence[str]) -> int:
    return sum(tf.io.gfile.stat(name).length for name in files)


def _seed(seed: int, epoch: int) -> int:
    return (seed * 1_000_003 + epoch) % (1 << 31)


def _with_estimates(name: tf.Tensor, estimates: tf.Tensor) -> tf.data.Dataset:
    """Read requests joined with a teacher's estimates: two concatenated serialized messages parse as their union."""
    pairs = tf.data.Dataset.zip((tf.data.TFRecordDataset(name), tf.data.TFRecordDataset(estimates)))
    return pairs.map(_joined)


def _without_estimates(name: tf.Tensor, _estimates: tf.Tensor) -> tf.data.Dataset:
    return tf.data.TFRecordDataset(name)


def _joined(request: tf.Tensor, estimate: tf.Tensor) -> tf.Tensor:
    return tf.strings.join([request, estimate])


def _batch_parser(
    layer: keras.Model,
    dataset: Dataset,
    labels: Sequence[str],
    *,
    soft: float = 0.0,
    with_gain: bool = False,
    weights: AmountWeights | None = None,
) -> Callable[[tf.Tensor], Batch]:
    """Return a function that parses and transforms a batch; `soft` is the share of estimates in the labels."""
    (position,) = (column for column in columns(dataset) if column.name == "position")
    action_gains = gains(dataset) if with_gain else {}
    amounts = gain_amounts(dataset) if with_gain else {}
    label_inputs = [column for column in label_columns(dataset) if column.name in {*labels, *action_gains}]
    estimate = [replace(label_inputs[0], name=ESTIMATE)] if soft else []
    extra = [*(weights.columns(dataset) if weights else ()), *(c for c in columns(dataset) if c.name in amounts.values())]
    inputs = input_columns(dataset)
    read = dict.fromkeys((*inputs, *label_inputs, *estimate, *extra, position))
    feature_names = {column.name for column in inputs}

    def gain_of(parsed: Features) -> tf.Tensor:
        """The greatest gain of the actions done on each candidate, flat [N]."""
        by_action = {name: tf.cast(parsed[name].flat_values > 0, tf.float32) * gain for name, gain in action_gains.items()}
        by_action |= {name: by_action[name] * tf.maximum(parsed[amount].flat_values, 0.0) for name, amount in amounts.items()}
        return tf.reduce_max(tf.stack(list(by_action.values())), axis=0)

    def parse_batch(serialized: tf.Tensor) -> Batch:
        parsed = parse(serialized, read)
        acted = {column.name: parsed[column.name] for column in label_inputs}
        if soft:
            acted["label"] = (1 - soft) * acted["label"] + soft * parsed[ESTIMATE]
        shown = {SHOWN_POSITION: parsed["position"]}
        if action_gains:
            shown[SHOWN_GAIN] = acted[labels[0]].with_flat_values(gain_of(parsed))
        if weights:
            shown[SHOWN_WEIGHT] = weights.weights(parsed)
        targets = [acted[name] for name in labels]
        features = {name: values for name, values in parsed.items() if name in feature_names}
        return layer(features) | shown, targets[0] if len(targets) == 1 else tf.stack(targets, axis=2)

    return parse_batch
