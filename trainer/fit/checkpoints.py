"""What a killed training goes on from: one file, whole or not there."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

Arrays = Sequence[NDArray[Any]]


@dataclass(frozen=True)
class Checkpoint:
    """Where training stood: groups of arrays by name, and plain values."""

    arrays: Mapping[str, Arrays]
    notes: Mapping[str, Any]


class Checkpoints:
    """A folder with the newest checkpoint of one training.

    A checkpoint is a TFRecord file: a record that says what follows, then one record an array, each with TFRecord's checksum. It is written
    under another name, renamed when all of it is there, and only then the one before it removed: whatever moment a kill hits, the newest
    whole file is found. On object stores, which know no renaming, the copy appears whole.

    Args:
        folder: of this training and no other; made with the first checkpoint.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def write(self, step: int, checkpoint: Checkpoint) -> None:
        """Write it, then remove the older ones."""
        tf.io.gfile.makedirs(self._folder)
        told = {
            "notes": dict(checkpoint.notes),
            "arrays": {name: [[each.dtype.str, list(each.shape)] for each in arrays] for name, arrays in checkpoint.arrays.items()},
        }
        unfinished = f"{self._folder}/{step:012d}.unfinished"
        with tf.io.TFRecordWriter(unfinished) as writer:
            writer.write(json.dumps(told).encode())
            for arrays in checkpoint.arrays.values():
                for each in arrays:
                    writer.write(np.ascontiguousarray(each).tobytes())
        name = f"{step:012d}.checkpoint"
        tf.io.gfile.rename(unfinished, f"{self._folder}/{name}", overwrite=True)
        for other in tf.io.gfile.listdir(self._folder):
            if other.rstrip("/") != name:
                tf.io.gfile.remove(f"{self._folder}/{other}")

    def read(self) -> Checkpoint | None:
        """The newest checkpoint that is whole, None where there is none."""
        if not tf.io.gfile.isdir(self._folder):
            return None
        names = sorted((name for name in tf.io.gfile.listdir(self._folder) if name.endswith(".checkpoint")), reverse=True)
        return next((found for name in names if (found := _read(f"{self._folder}/{name}")) is not None), None)

    def clear(self) -> None:
        """Remove all: training has ended."""
        if tf.io.gfile.isdir(self._folder):
            tf.io.gfile.rmtree(self._folder)


def _read(path: str) -> Checkpoint | None:
    """None where a record is missing or not what its checksum says: a disk that filled up, a machine that lost its power."""
    records = tf.data.TFRecordDataset(path).as_numpy_iterator()
    try:
        told = json.loads(next(records))
        arrays = {
            name: [np.frombuffer(next(records), np.dtype(dtype)).reshape(shape) for dtype, shape in given]
            for name, given in told["arrays"].items()
        }
    except (StopIteration, ValueError, tf.errors.DataLossError):
        return None
    return Checkpoint(arrays, told["notes"])
