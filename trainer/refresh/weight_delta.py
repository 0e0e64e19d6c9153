"""Write what a training changed in a released model as a small file, and build the next version's folder from both.

TensorFlow Serving loads a version's folder once and never looks into it again, so changed weights need a version of
their own. Its graph, vocabularies and signatures are those of the base: only `variables/` is written anew, without
TensorFlow tracing anything.

A delta is one file (`trainer.fit.checkpoints`, with a checksum for each record): of a table that only some rows changed
of, these rows and their indices; any other changed weight whole. It names the digest of the model that it applies to.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from components.contract.errors import InputError
from components.release.publish import content_digest
from trainer.fit.checkpoints import Checkpoint, read_checkpoint, write_checkpoint

Array = NDArray[Any]

_VARIABLES = Path("variables", "variables")
_FINGERPRINT = "fingerprint.pb"
_ROWS, _VALUES, _WHOLE = "rows", "values", "whole"


@dataclass(frozen=True)
class WeightDelta:
    """Changes of a model's weights.

    Attributes:
        base: digest of the files of the model that they apply to (`components.release.publish.content_digest`).
        rows: by tensor of the base's checkpoint the indices of the changed rows [R] and their values [R, D].
        whole: by tensor the value of any other weight that changed.
        notes: JSON values: what it was made from.
    """

    base: str
    rows: Mapping[str, tuple[Array, Array]]
    whole: Mapping[str, Array]
    notes: Mapping[str, Any]


def weight_delta(base: str | Path, changed: Mapping[str, Array], notes: Mapping[str, Any]) -> WeightDelta:
    """Compare new values of weights, by tensor of the base's checkpoint, with the base's.

    Raises:
        InputError: a value hasn't the shape of the base's.
    """
    rows: dict[str, tuple[Array, Array]] = {}
    whole: dict[str, Array] = {}
    old = read_tensors(base)
    for name, value in sorted(changed.items()):
        if old[name].shape != value.shape:
            raise InputError(f"{base}: expected {name} of shape {old[name].shape}, got {value.shape}; a delta changes no vocabulary")
        if (differs := old[name] != value).any():
            at = np.flatnonzero(differs.reshape(len(value), -1).any(axis=1)) if value.ndim == 2 else np.arange(0)
            if value.ndim == 2 and len(at) < len(value):
                rows[name] = at.astype(np.int32), value[at]
            else:
                whole[name] = value
    return WeightDelta(content_digest(base), rows, whole, notes)


def write_delta(delta: WeightDelta, path: str | Path) -> None:
    """Write a delta's file, whole or not at all."""
    arrays = {f"{_ROWS}/{name}": [at, values] for name, (at, values) in delta.rows.items()}
    arrays |= {f"{_WHOLE}/{name}": [value] for name, value in delta.whole.items()}
    write_checkpoint(str(path), Checkpoint(arrays, {"base": delta.base, **delta.notes}))


def read_delta(path: str | Path) -> WeightDelta:
    """Read a delta's file.

    Raises:
        InputError: there is none, or a record is damaged.
    """
    checkpoint = read_checkpoint(str(path))
    if checkpoint is None:
        raise InputError(f"{path}: expected a delta of weights, found none that is complete; make it again")
    split = {tuple(name.split("/", 1)): arrays for name, arrays in checkpoint.arrays.items()}
    return WeightDelta(
        str(checkpoint.notes["base"]),
        {name: (arrays[0], arrays[1]) for (kind, name), arrays in split.items() if kind == _ROWS},
        {name: arrays[0] for (kind, name), arrays in split.items() if kind == _WHOLE},
        {name: value for name, value in checkpoint.notes.items() if name != "base"},
    )


def apply_delta(base: str | Path, delta: WeightDelta, target: str | Path) -> None:
    """Build the model with the changed weights: the base's files, and `variables/` written anew.

    The base's `fingerprint.pb`, which has a hash of the old weights, is left out; nothing needs it.

    Args:
        base: folder of the model that the delta applies to.
        delta: the changes.
        target: a new or empty folder.

    Raises:
        InputError: the delta applies to another model.
    """
    base, target = Path(base), Path(target)
    if (digest := content_digest(base)) != delta.base:
        raise InputError(f"{base}: expected the model of digest {delta.base[:12]}, to which the delta applies, found {digest[:12]}")
    tensors = read_tensors(base)
    for name, (at, values) in delta.rows.items():
        tensors[name][at] = values
    tensors.update(delta.whole)
    shutil.copytree(base, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(_VARIABLES.parent.name, _FINGERPRINT))
    (target / _VARIABLES).parent.mkdir()
    names = sorted(tensors)
    tf.raw_ops.SaveV2(
        prefix=str(target / _VARIABLES), tensor_names=names, shape_and_slices=[""] * len(names), tensors=[tensors[name] for name in names]
    )


def read_tensors(model: str | Path) -> dict[str, Any]:
    """Read all tensors of a SavedModel's checkpoint by name."""
    checkpoint = tf.train.load_checkpoint(os.path.join(model, _VARIABLES))
    tensors: dict[str, Any] = {name: checkpoint.get_tensor(name) for name in checkpoint.get_variable_to_shape_map()}
    # A NumPy array of bytes would lose zeros at the end, as those of the serialized object graph.
    return {name: value if isinstance(value, bytes) else np.array(value) for name, value in tensors.items()}
