"""Scores of the same requests in batches and lists of many sizes; in a process of its own, for TensorFlow's threads are chosen before its
first operation.

Writes how many scores have other bits than in the batch of all requests, and the scores of that batch.
"""

import json
import pickle
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf


def main(model: str, given: str, threads: str, out: str) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(int(threads))
    loaded = tf.saved_model.load(model)
    serialized, dense, candidate_axis = pickle.loads(Path(given).read_bytes())
    lengths, requests = dense["n_candidates"], len(serialized)

    def examples(rows):
        return loaded.signatures["examples"](tf.constant([serialized[row] for row in rows]))["scores"].numpy()

    def tensors(rows):
        return loaded.signatures["serving_default"](**{name: tf.constant(values[rows]) for name, values in dense.items()})["scores"].numpy()

    expected = tensors(np.arange(requests))
    differing = {"examples": 0, "serving_default": 0, "lists": 0}
    for size in range(1, requests + 1):
        rows = (np.arange(size) + 7 * size) % requests
        for name, scores in (("examples", examples(rows)), ("serving_default", tensors(rows))):
            for row, got in zip(rows, scores, strict=True):
                differing[name] += int((got[: lengths[row]] != expected[row, : lengths[row]]).sum())
    for length in range(1, 201):
        repeated = {name: values[:1] for name, values in dense.items()} | {"n_candidates": np.array([length])}
        places = np.arange(length) % lengths[0]
        repeated |= {name: repeated[name][:, places] for name in candidate_axis}
        got = loaded.signatures["serving_default"](**{name: tf.constant(values) for name, values in repeated.items()})["scores"].numpy()
        differing["lists"] += int((got[0] != expected[0, places]).sum())
    Path(out).write_text(json.dumps({"differing": differing, "scores": expected.tolist()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
