"""Run the model of benchmarks.serving.model_server in ONNX Runtime, as a reference for the cost of its arithmetic.

ONNX has no hashing of text, so the converted graph begins with the embedding rows, for one request: it does less than
the SavedModel, which hashes texts within the call.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
import tensorflow as tf
import tf2onnx

from benchmarks.serving.model_server import BUCKETS, SCORES, Made, Request
from serving.model_server.inference.tensors import Array

_AXES = ("request", "history", "candidate")


def onnx_call(made: Made, tensors: Request) -> Callable[[], Array]:
    """Return a call that scores the request, its embedding rows looked up here, with ONNX Runtime's default threads."""

    def core(rows: dict[str, tf.Tensor], numbers: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        sides = {axis: _side(made, rows, axis) for axis in _AXES}
        fit = tf.einsum("ce,he->ch", sides["candidate"] @ made.module.query, sides["history"])
        interest = tf.nn.softmax(fit) @ sides["history"]
        shopper = tf.concat([sides["request"], _logs(numbers["request"])], axis=-1)  # (1, width)
        shopper = tf.repeat(shopper, tf.shape(fit)[0], axis=0)
        hidden = tf.concat([shopper, sides["candidate"], _logs(numbers["candidate"]), interest], axis=-1)
        for kernel, bias in made.module.layers[:-1]:
            hidden = tf.nn.relu(hidden @ kernel + bias)
        kernel, bias = made.module.layers[-1]
        return {SCORES: tf.sigmoid(hidden @ kernel + bias)[None, :, 0]}

    names = {f"rows_{name}": name for axis in _AXES for name in made.words[axis]}
    feeds: dict[str, Array] = {
        entry: tf.strings.to_hash_bucket_fast(tensors[name].reshape(-1), BUCKETS).numpy() for entry, name in names.items()
    }
    for axis in ("request", "candidate"):
        feeds[f"numbers_{axis}"] = np.stack([tensors[name].reshape(-1) for name in made.numbers[axis]], axis=-1).astype(np.float32)

    def flat(*arrays: tf.Tensor) -> dict[str, tf.Tensor]:
        named = dict(zip(feeds, arrays, strict=True))
        return core({names[entry]: named[entry] for entry in names}, {axis: named[f"numbers_{axis}"] for axis in ("request", "candidate")})

    signature = [tf.TensorSpec([None, *value.shape[1:]], value.dtype, name) for name, value in feeds.items()]
    graph, _ = tf2onnx.convert.from_function(tf.function(flat, input_signature=signature), input_signature=signature)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    inputs: Any = dict(zip([each.name for each in session.get_inputs()], feeds.values(), strict=True))

    def call() -> Array:
        scores: Array = session.run([SCORES], inputs)[0]
        return scores

    return call


def _side(made: Made, rows: dict[str, tf.Tensor], axis: str) -> tf.Tensor:
    return tf.concat([tf.gather(made.module.tables[name], rows[name]) for name in made.words[axis]], axis=-1)


def _logs(numbers: tf.Tensor) -> tf.Tensor:
    return tf.math.log(1 + tf.abs(tf.where(tf.math.is_nan(numbers), 0.0, numbers)))  # ONNX has no log1p
