"""Warm start: a new ranker takes over from the champion what still has the same meaning.

- Rows of a table by what they stand for (`trainer.warm_start.embedding_keys`): an id or a category by its value, wherever it stands in the new vocabulary;
  hash buckets by their place; a number's buckets by their quantile.
- All other weights by name and shape, moving averages too, provided that the network's inputs are the same ones in the same order.

What is carried over by meaning of the window it was learnt in: numbers are scaled by the mean and deviation of the training window, and
those move from run to run. A value's weight then says "so many deviations above what is usual now", as its bucket says "in the seventh part
of what is usual now". It isn't recomputed for the new scale: values meet each other by multiplication in the cross layers, so there is no
exact way, and the drift from one run to the next is small beside what a first epoch moves.

Adam's moments stay behind. They would treble the size of every release, and belong to the last step's weights while a release holds
averaged ones; fresh moments are right within some tens of steps.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import tensorflow_transform as tft
from numpy.typing import NDArray

from components.contract.dataset import Dataset
from trainer.config import RankerConfig
from trainer.model.ranker import Ranker
from trainer.warm_start.champion_weights import Bequest, as_text, network_inputs, read, split_seed
from trainer.warm_start.embedding_keys import Key, keys, table_spans
from trainer.warm_start.variable_names import weights

PROGRESS = logging.getLogger("shelfrank.progress")

Weights = Mapping[str, NDArray[np.float32]]
_NAMED = 5  # of the weights that begin anew, at most so many by name


@dataclass(frozen=True)
class WarmStart:
    """What training begins with.

    Attributes:
        champion: whose weights; None: begin with drawn ones.
        called: what the champion is called.
        since_us: train on requests from then on, microseconds since the epoch; None: on all.
    """

    champion: Bequest | None = None
    called: str = ""
    since_us: int | None = None


COLD = WarmStart()


@dataclass(frozen=True)
class Carried:
    """What was taken over.

    Attributes:
        taken: weights of which something was.
        anew: weights that begin as they were drawn.
        entries: for each id or category table how many entries of its vocabulary were taken over, and how many it has.
    """

    taken: tuple[str, ...]
    anew: tuple[str, ...]
    entries: dict[str, tuple[int, int]]

    def line(self, champion: str) -> str:
        """In one line: `warm start from release 3: 41 of 44 tables and kernels; 1,204 of 1,310 keys of item; new: dense/0/0/kernel`."""
        told = [f"{len(self.taken)} of {len(self.taken) + len(self.anew)} tables and kernels"]
        told += [f"{taken:,} of {all_:,} keys of {name.removeprefix('tables/')}" for name, (taken, all_) in self.entries.items()]
        if self.anew:
            more = f" and {len(self.anew) - _NAMED} more" if len(self.anew) > _NAMED else ""
            told.append(f"new: {', '.join(self.anew[:_NAMED])}{more}")
        return f"warm start from {champion}: {'; '.join(told)}"


def warm_start(base_model: str | None, called: str, *, config: RankerConfig, dataset: Dataset, last_request_us: int) -> WarmStart:
    """What a run begins with, and why if that isn't the champion.

    Args:
        base_model: folder of the champion's SavedModel.
        called: what the champion is called.
        config: says whether and over which window.
        dataset: the new run's.
        last_request_us: the last request of the new run's training window.
    """
    if not config.warm_start:
        return COLD
    champion = read(base_model) if base_model else None
    reason = _unfit(champion, dataset, last_request_us)
    if champion is None or reason:
        PROGRESS.warning("no warm start: %s; training begins with drawn weights, on the whole training window", reason)
        return COLD
    if config.warm_window is None:
        return WarmStart(champion, called)
    since_us = min(last_request_us - round(config.warm_window * 1e6), champion.trained_until_us + 1)
    return WarmStart(champion, called, since_us)


def carry_over(model: Ranker, *, graph: tft.TFTransformOutput, warm: WarmStart) -> None:
    """Hand the champion's weights, if there is one, over to a ranker that is built."""
    if warm.champion is None:
        return
    variables = weights(model)
    new_keys = {
        name: keys(spans, lambda vocabulary: as_text(graph.vocabulary_by_name(vocabulary)))
        for name, spans in table_spans(model.plan).items()
    }
    drawn = {name: variable.numpy() for name, variable in variables.items()}
    found, carried = taken_over(drawn, new_keys, network_inputs(model.plan), warm.champion)
    for name, value in found.items():
        variables[name].assign(value)
    PROGRESS.info("%s", carried.line(warm.called))


def taken_over(
    drawn: Weights, new_keys: Mapping[str, Sequence[Key]], inputs: Sequence[str], champion: Bequest
) -> tuple[dict[str, NDArray[np.float32]], Carried]:
    """The new weights for those of which something can be taken over, and what that was.

    Args:
        drawn: the new model's weights as drawn.
        new_keys: for each of its tables what the rows stand for.
        inputs: what its network reads (`trainer.warm_start.champion_weights.network_inputs`).
        champion: whose weights to take.
    """
    found: dict[str, NDArray[np.float32]] = {}
    entries: dict[str, tuple[int, int]] = {}
    for name, value in drawn.items():
        old = champion.weights.get(name)
        if name in new_keys:
            of_vocabulary = np.array([kind == "entry" for kind, _ in new_keys[name]], bool)
            taken = np.zeros(len(value), bool)
            if old is not None and name in champion.keys and old.shape[1] == value.shape[1]:
                found[name], taken = _rows(value, new_keys[name], old, champion.keys[name])
            if of_vocabulary.any():
                entries[name] = (int((taken & of_vocabulary).sum()), int(of_vocabulary.sum()))
            if not taken.any():
                found.pop(name, None)
        elif old is not None and old.shape == value.shape and list(inputs) == champion.inputs:
            found[name] = old
    anew = tuple(name for name in drawn if name not in found)
    return found, Carried(tuple(found), anew, entries)


def _rows(
    drawn: NDArray[np.float32], wanted: Sequence[Key], old: NDArray[np.float32], had: Sequence[Key]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Rows [R, D] by key, as drawn where the champion has none or never trained it (then it is 0); and which ones are its [R]."""
    place = {key: at for at, key in enumerate(had)}
    at = np.array([place.get(key, -1) for key in wanted])
    trained: NDArray[np.bool_] = np.any(old != 0, axis=1)
    taken = (at >= 0) & trained[at]
    return np.where(taken[:, None], old[at], drawn), taken


def _unfit(champion: Bequest | None, dataset: Dataset, last_request_us: int) -> str:
    """Why nothing can be taken over, "" if it can."""
    if champion is None:
        return "the champion is no trained model that left its weights to a successor"
    if champion.split_seed != split_seed(dataset):
        return "the champion's windows were split by another seed or by time, so it may have been trained on what this run judges by"
    if champion.trained_until_us > last_request_us:
        until, last = (
            datetime.fromtimestamp(each / 1e6, UTC).isoformat(" ", "minutes") for each in (champion.trained_until_us, last_request_us)
        )
        return (
            f"the champion was trained on requests up to {until}, this run's training window ends {last}: it may know what it is judged by"
        )
    return ""
