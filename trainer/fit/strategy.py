"""Choose the devices and machines that training runs on."""

import json
import os
from typing import Literal

import tensorflow as tf

from components.contract.errors import RunError
from trainer.data.input_pipeline import BatchShard

Name = Literal["single", "mirrored", "multi_worker"]


def strategy(name: Name) -> tf.distribute.Strategy:
    """Make the distribution strategy of a setting.

    `single` is TensorFlow's default device; `mirrored` all GPUs of this machine (else all its CPU devices), each with a
    copy of the weights; `multi_worker` the same over the machines that the environment's TF_CONFIG names, to be made
    before TensorFlow's first operation.

    Raises:
        RunError: TF_CONFIG names no workers, or doesn't say which of them this is.
    """
    if name == "single":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    _worker()
    return tf.distribute.MultiWorkerMirroredStrategy()


def is_chief(name: Name) -> bool:
    """Return whether this process evaluates, writes checkpoints and exports, as the only process does."""
    return name != "multi_worker" or _worker() == 0


def batch_shard(chosen: tf.distribute.Strategy) -> BatchShard:
    """Return which part of each global batch this process prepares."""
    replicas = chosen.num_replicas_in_sync
    if not isinstance(chosen, tf.distribute.MultiWorkerMirroredStrategy):
        return BatchShard(replicas=replicas)
    local = len(chosen.extended.worker_devices)
    return BatchShard(worker=_worker(), workers=replicas // local, replicas=local)


def from_chief(chosen: tf.distribute.Strategy, value: float) -> float:
    """Return the chief's value on every worker; a collective call, each worker passes its own value."""
    return over_workers(chosen, value if batch_shard(chosen).worker == 0 else 0.0)


def over_workers(chosen: tf.distribute.Strategy, value: float) -> float:
    """Return the sum of the workers' values; a collective call."""
    if not isinstance(chosen, tf.distribute.MultiWorkerMirroredStrategy):
        return value
    part = value / len(chosen.extended.worker_devices)
    return float(chosen.reduce(tf.distribute.ReduceOp.SUM, chosen.run(lambda: tf.constant(part, tf.float64)), axis=None))


def _worker() -> int:
    """Return this process's index among the workers that TF_CONFIG names; 0 is the chief."""
    text = os.environ.get("TF_CONFIG", "")
    try:
        config = json.loads(text)
        chiefs, workers = (len(config["cluster"].get(job, [])) for job in ("chief", "worker"))
        first = {"chief": 0, "worker": chiefs}[config["task"]["type"]]
        index = first + int(config["task"]["index"])
        if index < chiefs + workers:
            return index
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise RunError(
        'model.strategy is multi_worker: expected TF_CONFIG to hold {"cluster": {"worker": ["host:port", ...]}, '
        f'"task": {{"type": "worker", "index": 0}}}}, got {text!r}; set it for each worker, or choose another strategy'
    )
