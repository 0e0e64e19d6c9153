"""Train a release's weights on the newest requests, and return what changed as a delta.

Graph, vocabularies, scales and calibration stay the release's: a new product has no embedding of its own before the
next run.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow_transform as tft
from numpy.typing import NDArray

from components.contract.dataset import Dataset
from components.contract.errors import InputError
from trainer.config import RankerConfig, warmed
from trainer.data.input_pipeline import request_times
from trainer.export.files import TRANSFORM_GRAPH
from trainer.fit.training import train
from trainer.refresh.weight_delta import WeightDelta, weight_delta
from trainer.warm_start.champion_weights import read_champion
from trainer.warm_start.request_sample import new_and_replayed, write_chosen
from trainer.warm_start.variable_names import weights
from trainer.warm_start.warm_start import WarmStart

HELD_OUT = 0.2
"""Share of the new requests that no weight is trained on, for the comparison with the base."""

FEWEST_NEW = 100
"""Fewer new requests than so many would change little, and of the held-out ones nothing could be said."""


@dataclass(frozen=True)
class Refresh:
    """What a refresh made: the delta, the file of held-out requests, and how many requests were new to the base."""

    delta: WeightDelta
    held_out: str
    new_requests: int


def refresh(
    base: str, files: Sequence[str], folder: str, *, dataset: Dataset, config: RankerConfig, window_s: float | None = None
) -> Refresh:
    """Train a released model on the requests that are new to it, beside a sample of earlier ones.

    Args:
        base: folder of the released model.
        files: patterns of all requests, whatever split they are in: those of the newest days are in none that a run
            trains on.
        folder: for files of requests.
        dataset: of the base.
        config: its settings of a warm start, and `warm_replay`.
        window_s: only requests of the last so many seconds are new, where the base's training ended before them.

    Raises:
        InputError: the base isn't a model that a refresh can go on from, or there are too few new requests.
    """
    champion, graph = read_champion(base), os.path.join(base, TRANSFORM_GRAPH)
    if champion is None or not os.path.isdir(graph):
        raise InputError(f"{base}: expected a trained release with its Transform graph, found none; make one with `shelfrank run`")
    times = request_times(files)
    since_us = champion.trained_until_us + 1
    if window_s is not None:
        since_us = max(since_us, int(times.max()) - round(window_s * 1e6))
    new = int((times >= since_us).sum())
    if new < FEWEST_NEW:
        raise InputError(f"expected at least {FEWEST_NEW} requests that {base} wasn't trained on, found {new}; wait for more events")
    training, held_out = _divided(times, since_us, replay=config.warm_replay, seed=dataset.seed)
    train_file, held_out_file = (
        write_chosen(files, chosen, os.path.join(folder, name)) for name, chosen in (("train", training), ("held_out", held_out))
    )
    model, _ = train(
        [train_file],
        [held_out_file],
        tft.TFTransformOutput(graph),
        dataset=dataset,
        config=warmed(config),
        warm=WarmStart(champion, "the release", since_us, refresh=True),
    )
    tensors = {champion.tensors[name]: variable.numpy() for name, variable in weights(model).items()}
    notes = {"trained_until_us": int(times.max()), "trained_since_us": since_us}
    return Refresh(weight_delta(base, tensors, notes), held_out_file, new)


def _divided(times: NDArray[np.int64], since_us: int, *, replay: float, seed: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Mark the requests to train on and those held out [R]: a random share of the new ones."""
    generator = np.random.default_rng(seed)
    new = np.flatnonzero(times >= since_us)
    held_out = np.zeros(len(times), bool)
    held_out[generator.choice(new, round(HELD_OUT * len(new)), replace=False)] = True
    chosen = new_and_replayed(times, since_us, replay=replay, generator=generator)
    return chosen & ~held_out, held_out
