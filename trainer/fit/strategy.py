"""On which devices and machines training runs."""

import json
import os
from typing import Literal

import tensorflow as tf

from components.contract.errors import RunError
from trainer.data.input_pipeline import Share

Name = Literal["single", "mirrored", "multi_worker"]


def strategy(name: Name) -> tf.distribute.Strategy:
    """The strategy of a setting.

    `single` is the device that TensorFlow takes by itself; `mirrored` all GPUs of this machine (else all its CPU devices), each with a copy
    of the weights; `multi_worker` the same over the machines that the environment's TF_CONFIG names, which must be made before TensorFlow's
    first operation.

    Raises:
        RunError: TF_CONFIG names no worker, or not which of them this is.
    """
    if name == "single":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    _worker()
    return tf.distribute.MultiWorkerMirroredStrategy()


def is_chief(name: Name) -> bool:
    """Whether this process judges, writes checkpoints and exports; alone it does."""
    return name != "multi_worker" or _worker() == 0


def share(chosen: tf.distribute.Strategy) -> Share:
    """The part of a step's requests that is made in this process."""
    replicas = chosen.num_replicas_in_sync
    if not isinstance(chosen, tf.distribute.MultiWorkerMirroredStrategy):
        return Share(replicas=replicas)
    here = len(chosen.extended.worker_devices)
    return Share(worker=_worker(), workers=replicas // here, replicas=here)


def from_chief(chosen: tf.distribute.Strategy, value: float) -> float:
    """The chief's value, on every worker; all must ask, each with a value of its own."""
    return over_workers(chosen, value if share(chosen).worker == 0 else 0.0)


def over_workers(chosen: tf.distribute.Strategy, value: float) -> float:
    """The sum of the workers' values; all must ask."""
    if not isinstance(chosen, tf.distribute.MultiWorkerMirroredStrategy):
        return value
    part = value / len(chosen.extended.worker_devices)
    return float(chosen.reduce(tf.distribute.ReduceOp.SUM, chosen.run(lambda: tf.constant(part, tf.float64)), axis=None))


def _worker() -> int:
    """This process among the workers that TF_CONFIG names, from 0, which is the chief."""
    told = os.environ.get("TF_CONFIG", "")
    try:
        given = json.loads(told)
        before = [len(given["cluster"].get(job, [])) for job in ("chief", "worker")]
        first = {"chief": 0, "worker": before[0]}[given["task"]["type"]]
        index = first + int(given["task"]["index"])
        if index < sum(before):
            return index
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise RunError(
        'model.strategy is multi_worker: expected TF_CONFIG to hold {"cluster": {"worker": ["host:port", ...]}, '
        f'"task": {{"type": "worker", "index": 0}}}}, got {told!r}; set it for each worker, or choose another strategy'
    )
