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


def write_checkpoint(path: str, checkpoint: Checkpoint) -> None:
    """Write a checkpoint as a TFRecord file: a header record (JSON: notes, dtypes and shapes), then one record an
    array, each with TFRecord's checksum.

    It is written under another name and renamed when complete. On object stores, which have no rename, the copy appears
    whole.
    """
    header = {
        "notes": dict(checkpoint.notes),
        "arrays": {name: [[each.dtype.str, list(each.shape)] for each in arrays] for name, arrays in checkpoint.arrays.items()},
    }
    unfinished = f"{path}.unfinished"
    with tf.io.TFRecordWriter(unfinished) as writer:
        writer.write(json.dumps(header).encode())
        for arrays in checkpoint.arrays.values():
            for each in arrays:
                writer.write(np.ascontiguousarray(each).tobytes())
    tf.io.gfile.rename(unfinished, path, overwrite=True)


def read_checkpoint(path: str) -> Checkpoint | None:
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


class Checkpoints:
    """A folder with the newest checkpoint of one training.

    The previous checkpoint is removed only after the new one is complete: whenever a kill hits, a complete file
    remains.

    Args:
        folder: of this training and no other; created with the first checkpoint.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def write(self, step: int, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, then remove the older ones."""
        tf.io.gfile.makedirs(self._folder)
        name = f"{step:012d}.checkpoint"
        write_checkpoint(f"{self._folder}/{name}", checkpoint)
        for other in tf.io.gfile.listdir(self._folder):
            if other.rstrip("/") != name:
                tf.io.gfile.remove(f"{self._folder}/{other}")

    def read(self) -> Checkpoint | None:
        """Read the newest checkpoint that is complete; None where there is none."""
        if not tf.io.gfile.isdir(self._folder):
            return None
        names = sorted((name for name in tf.io.gfile.listdir(self._folder) if name.endswith(".checkpoint")), reverse=True)
        return next((checkpoint for name in names if (checkpoint := read_checkpoint(f"{self._folder}/{name}")) is not None), None)

    def clear(self) -> None:
        """Remove the folder, once training has ended."""
        if tf.io.gfile.isdir(self._folder):
            tf.io.gfile.rmtree(self._folder)


def assign(variables: Sequence[tf.Variable], arrays: Arrays) -> None:
    """Assign an array to each variable, in order."""
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
