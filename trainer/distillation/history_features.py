"""Compare a candidate with the history of its request, for one field of both (the item, its brand, ...)."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from components.schema.parsing import Features

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Crossing:
    """Matches of N candidates' values in their histories; NaN where there is none."""

    times: Floats
    events_since: Floats  # 0: the last event
    seconds_since: Floats
    last_action: NDArray[np.int64]  # hash; 0 where there is no match


def crossing(features: Features, candidate: str, history: str) -> Crossing:
    """Match the candidates' column `candidate` with `<history>_<candidate>`; `history` names the history feature."""
    lengths = features[f"{history}_{candidate}"].row_lengths().numpy()
    row = features[candidate].value_rowids().numpy()
    events = padded(features[f"{history}_{candidate}"])[row]  # (candidates, events), oldest first
    values = codes(features[candidate].flat_values)[:, None]
    real = np.arange(events.shape[1]) < lengths[row, None]
    same = (events == values) & real & (values != 0)
    matched = same.any(axis=1)
    if not events.shape[1]:
        missing = np.full(len(row), np.nan, np.float32)
        return Crossing(np.zeros(len(row), np.float32), missing, missing, np.zeros(len(row), np.int64))
    last = events.shape[1] - 1 - same[:, ::-1].argmax(axis=1)
    seconds = features[f"{history}_age_s"].to_tensor(np.nan).numpy()[row, last]
    return Crossing(
        times=same.sum(axis=1).astype(np.float32),
        events_since=np.where(matched, lengths[row] - 1 - last, np.nan).astype(np.float32),
        seconds_since=np.where(matched, seconds, np.nan).astype(np.float32),
        last_action=np.where(matched, padded(features[f"{history}_action"])[row, last], 0),
    )


def codes(values: tf.Tensor) -> NDArray[np.int64]:
    """Hash texts to numbers above 0; "" to 0."""
    hashes = tf.strings.to_hash_bucket_fast(values, 2**62) + 1
    numbers: NDArray[np.int64] = tf.where(tf.equal(values, ""), tf.zeros_like(hashes), hashes).numpy()
    return numbers


def padded(values: tf.RaggedTensor) -> NDArray[np.int64]:
    """Hash a history's column by `codes`, padded with 0 to [B, H]."""
    of_events: NDArray[np.int64] = values.with_flat_values(tf.constant(codes(values.flat_values))).to_tensor(0).numpy()
    return of_events
