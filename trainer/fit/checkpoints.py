"""Write and read checkpoints of a training: one file, whole or not there."""

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
    """State of a training: groups of arrays by name, and JSON values."""

    arrays: Mapping[str, Arrays]
    notes: Mapping[str, Any]


class Checkpoints:
    """A folder with the newest checkpoint of one training.

    A checkpoint is a TFRecord file: a header record (JSON: notes, dtypes and shapes), then one record an array, each
    with TFRecord's checksum. It is written under another name, renamed when complete, and only then the previous one is
    removed: whenever a kill hits, a complete file remains. On object stores, which have no rename, the copy appears
    whole.

    Args:
        folder: of this training and no other; created with the first checkpoint.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def write(self, step: int, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, then remove the older ones."""
        tf.io.gfile.makedirs(self._folder)
        header = {
            "notes": dict(checkpoint.notes),
            "arrays": {name: [[each.dtype.str, list(each.shape)] for each in arrays] for name, arrays in checkpoint.arrays.items()},
        }
        unfinished = f"{self._folder}/{step:012d}.unfinished"
        with tf.io.TFRecordWriter(unfinished) as writer:
            writer.write(json.dumps(header).encode())
            for arrays in checkpoint.arrays.values():
                for each in arrays:
                    writer.write(np.ascontiguousarray(each).tobytes())
        name = f"{step:012d}.checkpoint"
        tf.io.gfile.rename(unfinished, f"{self._folder}/{name}", overwrite=True)
        for other in tf.io.gfile.listdir(self._folder):
            if other.rstrip("/") != name:
                tf.io.gfile.remove(f"{self._folder}/{other}")

    def read(self) -> Checkpoint | None:
        """Read the newest checkpoint that is complete; None where there is none."""
        if not tf.io.gfile.isdir(self._folder):
            return None
        names = sorted((name for name in tf.io.gfile.listdir(self._folder) if name.endswith(".checkpoint")), reverse=True)
        return next((checkpoint for name in names if (checkpoint := _read(f"{self._folder}/{name}")) is not None), None)

    def clear(self) -> None:
        """Remove the folder, once training has ended."""
        if tf.io.gfile.isdir(self._folder):
            tf.io.gfile.rmtree(self._folder)


def _read(path: str) -> Checkpoint | None:
    """Read a file; None where a record is missing or fails its checksum, as after a full disk or a power failure."""
    records = tf.data.TFRecordDataset(path).as_numpy_iterator()
    try:
        header = json.loads(next(records))
        arrays = {
            name: [np.frombuffer(next(records), np.dtype(dtype)).reshape(shape) for dtype, shape in specs]
            for name, specs in header["arrays"].items()
        }
    except (StopIteration, ValueError, tf.errors.DataLossError):
        return None
    return Checkpoint(arrays, header["notes"])


def assign(variables: Sequence[tf.Variable], arrays: Arrays) -> None:
    """Assign an array to each variable, in order."""
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
