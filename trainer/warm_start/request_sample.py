"""Choose the requests that a warm start trains on and is judged by, and write them to files of their own.

Trained on the newest requests alone a network forgets: they are a few days' products and shoppers, and each step pulls
all weights towards them. Beside them a sample of the earlier ones is replayed (Robins 1995, "Catastrophic forgetting,
rehearsal and pseudorehearsal"). Its size follows the number of new requests and not the log's, as does the cost.
"""

import logging
import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.data.input_pipeline import request_files, request_times

PROGRESS = logging.getLogger("shelfrank.progress")

EVAL_REQUESTS = 5_000
"""Requests of the eval split that choose between the champion's weights and the epochs', and fit the calibration."""

_READ_AT_ONCE = 512


def chosen_requests(
    train_files: Sequence[str], eval_files: Sequence[str], folder: str, *, times: NDArray[np.int64], since_us: int, replay: float, seed: int
) -> tuple[list[str], list[str]]:
    """Write the requests to train on and those to judge by; return their files.

    Args:
        train_files: patterns.
        eval_files: patterns.
        folder: to write to.
        times: of the training requests (`trainer.data.input_pipeline.request_times`).
        since_us: see `new_and_replayed`.
        replay: likewise.
        seed: the same gives the same requests.
    """
    generator = np.random.default_rng(seed)
    training = new_and_replayed(times, since_us, replay=replay, generator=generator)
    total = len(request_times(eval_files))
    judging = np.zeros(total, bool)
    judging[generator.choice(total, min(total, EVAL_REQUESTS), replace=False)] = True
    new = int((times >= since_us).sum())
    PROGRESS.info("%s new requests and %s earlier ones, judged by %s", f"{new:,}", f"{training.sum() - new:,}", f"{judging.sum():,}")
    chosen = (("train", train_files, training), ("eval", eval_files, judging))
    training_file, judging_file = (write_chosen(files, each, os.path.join(folder, split)) for split, files, each in chosen)
    return [training_file], [judging_file]


def new_and_replayed(times: NDArray[np.int64], since_us: int, *, replay: float, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Mark all requests from `since_us` on, and for each of them `replay` earlier ones, drawn without replacement.

    Args:
        times: of the requests [R], microseconds since the epoch.
        since_us: the first new time.
        replay: 0: none; all there are where there are fewer.
        generator: of the draw.
    """
    chosen = times >= since_us
    earlier = np.flatnonzero(~chosen)
    chosen[generator.choice(earlier, min(len(earlier), round(replay * int(chosen.sum()))), replace=False)] = True
    return chosen


def write_chosen(patterns: Sequence[str], chosen: NDArray[np.bool_], folder: str) -> str:
    """Copy the chosen requests [R], counted in the files' order, to a file in a new folder; return its path."""
    files, _ = request_files(patterns)
    tf.io.gfile.makedirs(folder)
    path = os.path.join(folder, "requests.tfrecord")
    with tf.io.TFRecordWriter(path) as out:
        for at, records in enumerate(tf.data.TFRecordDataset(files).batch(_READ_AT_ONCE).as_numpy_iterator()):
            for record in records[chosen[at * _READ_AT_ONCE :][: len(records)]]:
                out.write(record)
    return path
