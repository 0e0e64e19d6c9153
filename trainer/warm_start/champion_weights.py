"""What a model leaves to the one that starts from it, beside its SavedModel: whose its weights are and what their rows stand for."""

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
"""Beneath the exported model. The weights themselves are the SavedModel's own, in `variables/`, and its vocabularies in `assets/`."""


@dataclass(frozen=True)
class Bequest:
    """A trained model, as arrays.

    Attributes:
        weights: by the names of `trainer.warm_start.variable_names`.
        keys: for each table what its rows stand for.
        inputs: what the network reads, in the order in which its kernels take it.
        trained_until_us: the last request of its training window, microseconds since the epoch.
        split_seed: of windows by hash the seed that split them, else None.
    """

    weights: dict[str, NDArray[np.float32]]
    keys: dict[str, list[Key]]
    inputs: list[str]
    trained_until_us: int
    split_seed: int | None


def network_inputs(plan: Layout) -> list[str]:
    """Names and widths of all that the network's kernels read, in their order. Where it differs, a kernel's rows mean something else."""
    tokens = [f"{token.column.axis} {token.column.name} {token.feature.dim}" for token in plan.tokens]
    bags = [f"{bag.column.axis} {bag.column.name} {bag.feature.dim}" for bag in plan.bags]
    vectors = [f"{column.axis} {column.name} {column.size}" for column in plan.vectors]
    numbers = [f"{axis} {measure.name} {measure.scale}" for axis in ("request", "candidate", "history") for measure in plan.numbers(axis)]
    return [*tokens, *bags, *vectors, *numbers, *(f"action {action}" for action in plan.actions)]


def leave(model: Ranker, path: str, *, dataset: Dataset, trained_until_us: int) -> None:
    """Write the file into the folder of the exported model."""
    names = {id(variable): name for name, variable in weights(model).items()}
    told = {
        # In the order of the SavedModel's list of weights; None for those of no use to another model.
        "weights": [names.get(id(variable)) for variable in model.variables],
        "rows": {name: as_json(spans) for name, spans in table_spans(model.plan).items()},
        "inputs": network_inputs(model.plan),
        "trained_until_us": trained_until_us,
        "split_seed": split_seed(dataset),
    }
    file = os.path.join(path, FILE)
    tf.io.gfile.makedirs(os.path.dirname(file))
    with tf.io.gfile.GFile(file, "w") as opened:
        opened.write(json.dumps(told, indent=1))


def read(path: str) -> Bequest | None:
    """What the model in this folder leaves; None if it left nothing, as the dull baseline does, which has no weights."""
    file = os.path.join(path, FILE)
    if not tf.io.gfile.exists(file):
        return None
    with tf.io.gfile.GFile(file) as opened:
        told: dict[str, Any] = json.loads(opened.read())
    checkpoint = tf.train.load_checkpoint(os.path.join(path, "variables", "variables"))

    def vocabulary(name: str) -> Sequence[str]:
        with tf.io.gfile.GFile(os.path.join(path, "assets", name), "rb") as opened:
            return as_text([line.rstrip(b"\n") for line in opened])

    return Bequest(
        weights={
            name: checkpoint.get_tensor(f"weights/{at}/.ATTRIBUTES/VARIABLE_VALUE") for at, name in enumerate(told["weights"]) if name
        },
        keys={name: keys(from_json(spans), vocabulary) for name, spans in told["rows"].items()},
        inputs=told["inputs"],
        trained_until_us=told["trained_until_us"],
        split_seed=told["split_seed"],
    )


def as_text(entries: Sequence[bytes]) -> list[str]:
    """A vocabulary's entries, whatever bytes they are made of."""
    return [entry.decode("utf-8", "surrogateescape") for entry in entries]


def split_seed(dataset: Dataset) -> int | None:
    """Of windows by hash the seed that they are split by."""
    return dataset.seed if dataset.windows.by == "hash" else None
