"""Write beside a SavedModel what a warm start needs to know of its weights, and read the weights of a champion."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from components.contract.dataset import Dataset
from trainer.model.network_inputs import Layout
from trainer.model.ranker import Ranker
from trainer.warm_start.embedding_keys import Key, as_json, from_json, keys, table_spans
from trainer.warm_start.variable_names import weights

FILE = os.path.join("assets.extra", "bequest.json")
"""Path below the exported model; weights are in the SavedModel's `variables/`, vocabularies in `assets/`."""


@dataclass(frozen=True)
class ChampionWeights:
    """Weights of a trained model, and what they were trained on.

    Attributes:
        weights: by the names of `trainer.warm_start.variable_names`.
        tensors: the name of each weight in the SavedModel's checkpoint.
        keys: the key of each row of each embedding table.
        inputs: the network's inputs, in the order of its kernels' rows.
        trained_until_us: time of the last request of its training window, microseconds since the epoch.
        split_seed: seed of windows that are split by hash, else None.
    """

    weights: dict[str, NDArray[np.float32]]
    tensors: dict[str, str]
    keys: dict[str, list[Key]]
    inputs: list[str]
    trained_until_us: int
    split_seed: int | None


def network_inputs(plan: Layout) -> list[str]:
    """List the network's inputs with their widths, in the order of the kernels' rows."""
    tokens = [f"{token.column.axis} {token.column.name} {token.feature.dim}" for token in plan.tokens]
    bags = [f"{bag.column.axis} {bag.column.name} {bag.feature.dim}" for bag in plan.bags]
    vectors = [f"{column.axis} {column.name} {column.size}" for column in plan.vectors]
    numbers = [f"{axis} {measure.name} {measure.scale}" for axis in ("request", "candidate", "history") for measure in plan.numbers(axis)]
    return [*tokens, *bags, *vectors, *numbers, *(f"action {action}" for action in plan.actions)]


def write_metadata(model: Ranker, path: str, *, dataset: Dataset, trained_until_us: int) -> None:
    """Write `FILE` into the exported model's folder: names of weights, keys of rows, inputs, training window."""
    names = {id(variable): name for name, variable in weights(model).items()}
    metadata = {
        # In the order of the SavedModel's list of weights; None for those that no other model can use.
        "weights": [names.get(id(variable)) for variable in model.variables],
        "rows": {name: as_json(spans) for name, spans in table_spans(model.plan).items()},
        "inputs": network_inputs(model.plan),
        "trained_until_us": trained_until_us,
        "split_seed": split_seed(dataset),
    }
    file = os.path.join(path, FILE)
    tf.io.gfile.makedirs(os.path.dirname(file))
    with tf.io.gfile.GFile(file, "w") as stream:
        stream.write(json.dumps(metadata, indent=1))


def read_champion(path: str) -> ChampionWeights | None:
    """Read the weights of the model in a folder; None where it has no `FILE`, as a baseline without weights."""
    file = os.path.join(path, FILE)
    if not tf.io.gfile.exists(file):
        return None
    with tf.io.gfile.GFile(file) as stream:
        metadata: dict[str, Any] = json.loads(stream.read())
    checkpoint = tf.train.load_checkpoint(os.path.join(path, "variables", "variables"))
    tensors = _tensor_names(metadata)

    def vocabulary(name: str) -> Sequence[str]:
        with tf.io.gfile.GFile(os.path.join(path, "assets", name), "rb") as stream:
            return as_text([line.rstrip(b"\n") for line in stream])

    return ChampionWeights(
        weights={name: checkpoint.get_tensor(tensor) for name, tensor in tensors.items()},
        tensors=tensors,
        keys={name: keys(from_json(spans), vocabulary) for name, spans in metadata["rows"].items()},
        inputs=metadata["inputs"],
        trained_until_us=metadata["trained_until_us"],
        split_seed=metadata["split_seed"],
    )


def write_trained_until(path: str, trained_until_us: int) -> None:
    """Change the end of the training window in a model's `FILE`, for weights that were trained further."""
    file = os.path.join(path, FILE)
    with tf.io.gfile.GFile(file) as stream:
        metadata = json.loads(stream.read())
    with tf.io.gfile.GFile(file, "w") as stream:
        stream.write(json.dumps(metadata | {"trained_until_us": trained_until_us}, indent=1))


def _tensor_names(metadata: dict[str, Any]) -> dict[str, str]:
    return {name: f"weights/{at}/.ATTRIBUTES/VARIABLE_VALUE" for at, name in enumerate(metadata["weights"]) if name}


def as_text(entries: Sequence[bytes]) -> list[str]:
    """Decode a vocabulary's entries, reversibly for any bytes."""
    return [entry.decode("utf-8", "surrogateescape") for entry in entries]


def split_seed(dataset: Dataset) -> int | None:
    """Return the seed of windows that are split by hash, else None."""
    return dataset.seed if dataset.windows.by == "hash" else None
