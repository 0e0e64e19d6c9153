"""The two doors of every model: serialized examples, and one padded tensor for each column. Both call the same function."""

from collections.abc import Callable

import tensorflow as tf

from components.contract.columns import Column, columns, input_columns, signature_columns
from components.contract.dataset import Dataset
from components.schema.parsing import Features, dense_spec, from_dense, parse

Score = Callable[[Features, tf.Tensor], dict[str, tf.Tensor]]


def save(module: tf.Module, score: Score, path: str, *, dataset: Dataset) -> None:
    """Write a SavedModel with both doors around `score`.

    `score` takes what `parse` gives for the input columns, with `position` where the request has it, and the row splits [B + 1] of its
    candidates; it returns by name, flat [N], the candidates' `scores` and whatever else there is to tell of each, such as the chance of
    each action. The doors give the same names:

    - `examples`: serialized tf.Examples [B] -> float32 [B, L of the longest list], 0 beyond a request's candidates;
    - `serving_default`: by name the tensors of `signature_columns` -> float32 [B, L], 0 from `n_candidates` on.
    """
    inputs = input_columns(dataset)
    named = {column.name for column in inputs}
    read = (*inputs, *(column for column in columns(dataset) if column.name == "position" and column.name not in named))
    asked = signature_columns(dataset)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")], autograph=False)
    def examples(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        features = parse(serialized, read)
        splits = _candidate_splits(features, read)
        return {name: _ragged(flat, splits).to_tensor(0.0) for name, flat in score(features, splits).items()}

    def tensors(**dense: tf.Tensor) -> dict[str, tf.Tensor]:
        lengths = {axis: dense[name] for axis, name in (("candidate", "n_candidates"), ("history", "n_history")) if name in dense}
        features = from_dense(dense, inputs, lengths=lengths)
        splits = _candidate_splits(features, inputs)
        shape = next(tf.shape(dense[column.name], out_type=tf.int64)[:2] for column in inputs if column.axis == "candidate")
        return {name: _ragged(flat, splits).to_tensor(0.0, shape=shape) for name, flat in score(features, splits).items()}

    serving = tf.function(tensors, autograph=False).get_concrete_function(**{column.name: dense_spec(column) for column in asked})
    tf.saved_model.save(module, path, signatures={"serving_default": serving, "examples": examples})


def _candidate_splits(features: Features, given: tuple[Column, ...]) -> tf.Tensor:
    column = next(column for column in given if column.axis == "candidate")
    return features[column.name].row_splits // column.size


def _ragged(flat: tf.Tensor, splits: tf.Tensor) -> tf.RaggedTensor:
    return tf.RaggedTensor.from_row_splits(flat, splits, validate=False)
