"""Save a model with its signatures: `examples` and `serving_default` for scores, `explain` for feature attributions."""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from components.contract.columns import Column, columns, input_columns, signature_columns
from components.contract.dataset import Dataset
from components.schema.parsing import Features, dense_spec, from_dense, in_blocks, parse

Score = Callable[[Features, tf.Tensor], dict[str, tf.Tensor]]


@dataclass(frozen=True)
class Reasons:
    """The function and the names of a model's feature attributions.

    Attributes:
        function: takes what `Score` takes; returns flat [N, ...] by name, `attributions` [N, F] among them.
        names: of the F attributions.
    """

    function: Score
    names: tuple[str, ...]


def save(module: tf.Module, score: Score, path: str, *, dataset: Dataset, reasons: Reasons | None = None) -> None:
    """Write a SavedModel whose signatures call `score`.

    `score` takes what `parse` returns for the input columns, with `position` where the request has it, and the row
    splits [B + 1] of its candidates; it returns by name, flat [N], the candidates' `scores` and any other value of
    each, such as the probability of each action. The signatures return the same names:

    - `examples`: serialized tf.Examples [B] -> float32 [B, L of the longest list], 0 beyond a request's candidates;
    - `serving_default`: by name the tensors of `signature_columns` -> float32 [B, L], 0 from `n_candidates` on;
    - `explain`, where there are `reasons`: the same tensors -> its outputs [B, L, ...], 0 likewise, and `features` [B, F], the names.
    """
    inputs = input_columns(dataset)
    named = {column.name for column in inputs}
    read = (*inputs, *(column for column in columns(dataset) if column.name == "position" and column.name not in named))
    specs = {column.name: dense_spec(column) for column in signature_columns(dataset)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")], autograph=False)
    def examples(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        features = parse(serialized, read)
        splits = _candidate_splits(features, read)
        return {name: _ragged(flat, splits).to_tensor(0.0) for name, flat in in_whole_blocks(read)(features, splits).items()}

    def in_whole_blocks(table: tuple[Column, ...]) -> Score:
        """Return `score`, computed in whole blocks, so that ties stay ties in any batch."""

        def scored(features: Features, splits: tf.Tensor) -> dict[str, tf.Tensor]:
            filled = in_blocks(features, table, longest=dataset.history.length if dataset.history else 0)
            return {name: flat[: splits[-1]] for name, flat in score(filled, _candidate_splits(filled, table)).items()}

        return scored

    def call(function: Score, dense: Features) -> dict[str, tf.Tensor]:
        lengths = {axis: dense[name] for axis, name in (("candidate", "n_candidates"), ("history", "n_history")) if name in dense}
        features = from_dense(dense, inputs, lengths=lengths)
        splits = _candidate_splits(features, inputs)
        shape = next(tf.shape(dense[column.name], out_type=tf.int64)[:2] for column in inputs if column.axis == "candidate")
        return {name: _ragged(flat, splits).to_tensor(0.0, shape=_within(shape, flat)) for name, flat in function(features, splits).items()}

    def tensors(**dense: tf.Tensor) -> dict[str, tf.Tensor]:
        return call(in_whole_blocks(inputs), dense)

    def explain(**dense: tf.Tensor) -> dict[str, tf.Tensor]:
        assert reasons is not None
        requests = tf.shape(next(iter(dense.values())))[:1]
        return call(reasons.function, dense) | {
            "features": tf.broadcast_to(tf.constant(reasons.names), tf.concat([requests, [len(reasons.names)]], 0))
        }

    signatures = {"examples": examples}
    for name, function in {"serving_default": tensors, **({"explain": explain} if reasons else {})}.items():
        signatures[name] = tf.function(function, autograph=False).get_concrete_function(**specs)
    tf.saved_model.save(module, path, signatures=signatures)


def _within(shape: tf.Tensor, flat: tf.Tensor) -> tf.Tensor:
    """Return the shape [B, L], with the further dimensions of the values."""
    return tf.concat([shape, tf.shape(flat, tf.int64)[1:]], axis=0)


def _candidate_splits(features: Features, table: tuple[Column, ...]) -> tf.Tensor:
    column = next(column for column in table if column.axis == "candidate")
    return features[column.name].row_splits // column.size


def _ragged(flat: tf.Tensor, splits: tf.Tensor) -> tf.RaggedTensor:
    return tf.RaggedTensor.from_row_splits(flat, splits, validate=False)
