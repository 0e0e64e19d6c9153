"""Mask features of one candidate of a request, for Shapley values: the players are the dataset file's features.

A masked feature is missing, as in the baseline of integrated gradients. A list-relative feature is a player together
with the number that it compares, and the history with all that is matched against it: neither can be masked alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.contract.columns import input_columns
from components.contract.dataset import Dataset
from components.contract.features import History, ListRelative

Tensors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Player:
    """A feature that is masked as a whole: its input columns, and the names of its attributions."""

    name: str
    columns: tuple[str, ...]
    attributions: tuple[str, ...]


def players(dataset: Dataset) -> list[Player]:
    """List the players, in the order of the feature table."""
    columns: dict[str, list[str]] = {}
    for column in input_columns(dataset):
        columns.setdefault(column.feature, []).append(column.name)
    relative = {feature.of: feature.name for feature in dataset.features if isinstance(feature, ListRelative)}
    listed = []
    for feature in dataset.features:
        if isinstance(feature, ListRelative):
            continue
        if isinstance(feature, History):
            names = (feature.name, *(f"{feature.name}.same_{field}" for field in feature.fields))
        else:
            names = (feature.name, *((relative[feature.name],) if feature.name in relative else ()))
        listed.append(Player(feature.name, tuple(columns[feature.name]), names))
    return listed


def masked(
    tensors: Tensors, candidate: int, masks: NDArray[np.bool_], listed: Sequence[Player], dataset: Dataset
) -> dict[str, NDArray[Any]]:
    """Return a batch [M, ...] of copies of a request, in each of which a candidate's players outside a mask are missing.

    Args:
        tensors: of the request, a batch of one.
        candidate: its index.
        masks: [M, P] whether each player is known.
        listed: the P players.
        dataset: declares the columns.
    """
    axes = {column.name: column.axis for column in input_columns(dataset)}
    copies = {name: np.repeat(values, len(masks), axis=0) for name, values in tensors.items()}
    for at, player in enumerate(listed):
        missing = ~masks[:, at]
        for name in player.columns:
            blank = b"" if copies[name].dtype.hasobject else np.nan if copies[name].dtype.kind == "f" else 0
            if axes[name] == "candidate":
                copies[name][missing, candidate] = blank
            elif axes[name] == "request":
                copies[name][missing] = blank
            else:
                copies["n_history"][missing] = 0
    return copies


def logit_of(
    run: Callable[[Tensors], Mapping[str, NDArray[Any]]], tensors: Tensors, candidate: int, listed: Sequence[Player], dataset: Dataset
) -> Callable[[NDArray[Any]], NDArray[np.float64]]:
    """Return a function of masks [M, P] that gives the candidate's logits [M], by the scores of `serving_default`."""

    def logits(masks: NDArray[Any]) -> NDArray[np.float64]:
        scores = run(masked(tensors, candidate, masks.astype(bool), listed, dataset))["scores"][:, candidate].astype(np.float64)
        value: NDArray[np.float64] = np.log(scores / (1 - scores))
        return value

    return logits
