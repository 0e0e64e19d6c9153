"""Transform's `preprocessing_fn`: map the columns of the examples to the network's inputs, by the feature table.

Outputs, each with the name of its column: ids (0: missing), bags of word ids, and vectors. For each axis that has
numbers, stacked matrices: `<axis>.values` (standardized, 0 where missing) and, of requests and candidates,
`<axis>.buckets` (quantile bucket, 0 where missing) and `<axis>.within` (how far a number is into its bucket, [0, 1)).
Of the history also `history.action` and `history.age` (a bucket). No request's outputs depend on another request.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from components.contract.features import Category, Id, Multi, Text
from components.contract.load import parse_dataset
from components.schema.parsing import Features
from trainer.model.list_features import rank_in_list, ratio_to_mean
from trainer.model.network_inputs import AGE_BUCKETS, BUCKETS, CATEGORIES, Layout, Measure, Scale, layout, vocabulary_name

MAX_WORDS = 64
"""Words of a text that are read; further ones are dropped, which bounds the cost of a text."""

_MAX_Z = 8.0

Moments = tuple[tf.Tensor, tf.Tensor]
"""Mean and standard deviation of a number in the training split, on its scale."""


def preprocessing_fn(inputs: Mapping[str, Any], custom_config: Mapping[str, Any]) -> Features:
    """Map raw columns to network inputs, for TFX Transform; `custom_config["dataset"]` is the dataset file's text."""
    dataset = parse_dataset(custom_config["dataset"])
    plan = layout(dataset)
    outputs = _categories(inputs, plan)
    vocabularies: dict[str, Any] = {}
    # Candidates and requests come first: the history's fields look up the vocabulary of the candidates.
    for token in sorted(plan.tokens, key=lambda token: token.column.axis == "history"):
        if isinstance(token.feature, Id):
            outputs[token.column.name] = _on_values(
                inputs[token.column.name], partial(_ids, feature=token.feature, vocabularies=vocabularies)
            )
    for bag in plan.bags:
        outputs[bag.column.name] = _on_values(inputs[bag.column.name], partial(_word_ids, feature=bag.feature))
    for column in plan.vectors:
        outputs[column.name] = _vectors(inputs[column.name], column.size)
    outputs |= _numbers(inputs, plan)
    if plan.history:
        outputs["history.action"] = _on_values(inputs[f"{plan.history}_action"], partial(_index_of, known=plan.actions))
        outputs["history.age"] = _on_values(inputs[f"{plan.history}_age_s"], _age_bucket)
    return outputs


def _on_values(column: Any, function: Callable[[tf.Tensor], Any]) -> Any:
    """Apply the function to the flat values and keep the rows."""
    return _like(column, function(_values(column)))


def _values(column: Any) -> tf.Tensor:
    return column.flat_values if isinstance(column, tf.RaggedTensor) else column


def _like(column: Any, flat: Any) -> Any:
    """Put new flat values into the rows of a column."""
    return column.with_flat_values(flat) if isinstance(column, tf.RaggedTensor) else flat


def _categories(inputs: Mapping[str, Any], plan: Layout) -> Features:
    """Map categories to ids: 0 for "", then each feature's buckets for unseen values, then the vocabulary.

    All share one vocabulary of `feature=value`: an analyzer costs about a second however little there is to count.
    """
    tokens = [token for token in plan.tokens if isinstance(token.feature, Category)]
    if not tokens:
        return {}
    values = [_values(inputs[token.column.name]) for token in tokens]
    keys = [tf.strings.join([f"{token.feature.name}=", each]) for token, each in zip(tokens, values, strict=True)]
    learned = [
        tf.boolean_mask(key, tf.not_equal(each, ""))
        for token, key, each in zip(tokens, keys, values, strict=True)
        if token.column.axis != "history"
    ]
    vocabulary = tft.vocabulary(tf.concat(learned, axis=0), vocab_filename=CATEGORIES, name=CATEGORIES)
    indices = tf.split(tft.apply_vocabulary(tf.concat(keys, axis=0), vocabulary), [tf.size(each) for each in values], num=len(tokens))
    buckets = plan.category_buckets
    first = max(each.stop for each in buckets.values())
    outputs: Features = {}
    for token, each, index in zip(tokens, values, indices, strict=True):
        unseen = buckets[token.feature.name]
        ids = tf.where(index < 0, tft.hash_strings(each, len(unseen)) + unseen.start, index + first)
        outputs[token.column.name] = _like(inputs[token.column.name], tf.where(tf.equal(each, ""), tf.zeros_like(ids), ids))
    return outputs


def _ids(values: tf.Tensor, feature: Id, vocabularies: dict[str, Any]) -> tf.Tensor:
    """Map values to ids [N], int64: 0 for "", then hash buckets, or the vocabulary by frequency and buckets.

    Values rarer than `min_count` are in the buckets too, so that these are trained on the kind of value they will
    serve.
    """
    if feature.hashed:
        ids = tft.hash_strings(values, feature.hashed)
    else:
        if feature.name not in vocabularies:
            name = vocabulary_name(feature)
            vocabularies[feature.name] = tft.vocabulary(
                values, top_k=feature.vocabulary, frequency_threshold=feature.min_count, vocab_filename=name, name=name
            )
        ids = tft.apply_vocabulary(values, vocabularies[feature.name], num_oov_buckets=feature.oov_buckets)
    return tf.where(tf.equal(values, ""), tf.zeros_like(ids), ids + 1)


def _word_ids(values: tf.Tensor, feature: Text | Multi) -> tf.RaggedTensor:
    """Hash the words of each value to ids from 1, [N, (W)]."""
    words = _words(values) if isinstance(feature, Text) else _parts(values, feature.separator)
    return words.with_flat_values(tft.hash_strings(words.flat_values, feature.buckets) + 1)


def _words(values: tf.Tensor) -> tf.RaggedTensor:
    """Split texts [N] into their words and word bigrams [N, (W)], in lower case."""
    plain = tf.strings.regex_replace(tf.strings.lower(values, encoding="utf-8"), r"[^\p{L}\p{N}]+", " ")
    return tf.strings.ngrams(tf.strings.split(plain)[:, :MAX_WORDS], ngram_width=(1, 2))


def _parts(values: tf.Tensor, separator: str) -> tf.RaggedTensor:
    """Split joined values [N] into single ones [N, (V)], without empty ones."""
    parts = tf.strings.split(values, separator)
    return tf.ragged.boolean_mask(parts, tf.not_equal(parts, ""))


def _vectors(column: Any, size: int) -> Any:
    """Reshape flat floats to one row a vector, NaN to 0: ragged [B, (L), size] or [B, size]."""
    finite = _on_values(column, lambda values: tf.where(tf.math.is_nan(values), tf.zeros_like(values), values))
    if not isinstance(column, tf.RaggedTensor):
        return tf.reshape(finite, [-1, size])
    return tf.RaggedTensor.from_row_splits(tf.reshape(finite.flat_values, [-1, size]), finite.row_splits // size, validate=False)


@dataclass(frozen=True)
class _Matrix:
    """Numbers of an axis, one column a measure [N, K]: as read; whether missing; on the measures' scales."""

    raw: tf.Tensor
    missing: tf.Tensor
    scaled: tf.Tensor

    def standardized(self, mean: tf.Tensor, deviation: tf.Tensor) -> tf.Tensor:
        """Return (scaled - mean) / deviation, clipped, 0 where missing."""
        centred = tf.clip_by_value(tf.math.divide_no_nan(self.scaled - mean, deviation), -_MAX_Z, _MAX_Z)
        return tf.where(self.missing, tf.zeros_like(self.raw), centred)


def _numbers(inputs: Mapping[str, Any], plan: Layout) -> Features:
    """Compute `<axis>.values` of all axes, and `<axis>.buckets` and `<axis>.within` of requests and candidates."""
    outputs: Features = {}
    moments: dict[str, Moments] = {}
    for axis, measures in (("request", plan.request_numbers), ("candidate", plan.candidate_numbers)):
        if measures:
            matrices, axis_moments = _analyzed_numbers(_matrix(inputs, measures), measures)
            moments |= axis_moments
            outputs |= {f"{axis}.{name}": _like(inputs[measures[0].column], matrix) for name, matrix in matrices.items()}
    if measures := plan.history_numbers:
        matrix = _matrix(inputs, measures)
        # By the moments of the candidates' same numbers, so that events and candidates can be compared.
        of_candidates = [moments[measure.name.removeprefix(f"{plan.history}_")] for measure in measures]
        mean, deviation = (tf.stack(each) for each in zip(*of_candidates, strict=True))
        outputs["history.values"] = _like(inputs[measures[0].column], matrix.standardized(mean, deviation))
    return outputs


def _analyzed_numbers(matrix: _Matrix, measures: Sequence[Measure]) -> tuple[dict[str, tf.Tensor], dict[str, Moments]]:
    """Return the matrices `buckets`, `within` and `values` [N, K] of an axis, and the moments by measure.

    One analysis of the whole matrix, since each analyzer costs a pass of its own.
    """
    learned = _never_empty(matrix.raw, matrix.missing)
    mean, variance = (analyzer(_scaled(learned, measures), reduce_instance_dims=False) for analyzer in (tft.mean, tft.var))
    deviation = tf.sqrt(variance)
    moments = {measure.name: (mean[at], deviation[at]) for at, measure in enumerate(measures)}
    quantiles = tft.quantiles(learned, BUCKETS, epsilon=0.01, reduce_instance_dims=False)
    boundaries = tf.ensure_shape(quantiles, [len(measures), BUCKETS - 1])
    buckets = _buckets(matrix.raw, matrix.missing, boundaries)
    within = _within(matrix.raw, buckets, boundaries)
    return {"buckets": buckets, "within": within, "values": matrix.standardized(mean, deviation)}, moments


def _matrix(inputs: Mapping[str, Any], measures: Sequence[Measure]) -> _Matrix:
    """Stack the numbers of an axis."""
    raw = tf.stack([_raw(inputs[measure.column], measure) for measure in measures], axis=-1)  # (values, numbers)
    return _Matrix(raw, tf.logical_not(tf.math.is_finite(raw)), _scaled(raw, measures))


def _raw(column: Any, measure: Measure) -> tf.Tensor:
    """Read the numbers of a measure, flat [N]; NaN where missing."""
    if measure.scale == "rank":
        return rank_in_list(column).flat_values
    if measure.scale == "ratio":
        return ratio_to_mean(column).flat_values
    values = _values(column)
    if values.dtype == tf.int64:  # a position, -1 where unknown
        return tf.where(values < 0, tf.constant(float("nan")), tf.cast(values, tf.float32))
    return values


def _never_empty(raw: tf.Tensor, missing: tf.Tensor) -> tf.Tensor:
    """Prepare the numbers for the analyzers, missing ones as NaN, which they skip; [N, K] to [N + 1, K].

    A column without any value makes TFT's quantiles fail and its means NaN: so a column that a batch has no number of
    gets a filler.
    """
    filler = tf.where(tf.reduce_all(missing, axis=0, keepdims=True), 0.5, float("nan"))  # finite on every scale
    return tf.concat([tf.where(missing, float("nan"), raw), filler], axis=0)


def _scaled(raw: tf.Tensor, measures: Sequence[Measure]) -> tf.Tensor:
    """Bring the numbers [N, K] to their measures' scales."""
    return tf.stack([_rescaled(column, measure.scale) for column, measure in zip(tf.unstack(raw, axis=-1), measures, strict=True)], axis=-1)


def _rescaled(raw: tf.Tensor, scale: Scale) -> tf.Tensor:
    """Apply the scale: sign(x) log(1 + |x|) for prices and counts, log x for ratios, log odds for rates."""
    match scale:
        case "log":
            return tf.sign(raw) * tf.math.log1p(tf.abs(raw))
        case "ratio":
            return tf.math.log(raw)
        case "logit":
            share = tf.clip_by_value(raw, 1e-5, 1 - 1e-5)
            return tf.math.log(share) - tf.math.log1p(-share)
        case _:
            return raw


def _buckets(raw: tf.Tensor, missing: tf.Tensor, boundaries: tf.Tensor) -> tf.Tensor:
    """Find each number's quantile bucket [N, K], 1 to `BUCKETS`, 0 where missing; `boundaries` is [K, BUCKETS - 1].

    By the raw numbers: boundaries are values that occur, often a value that many share, and the last bit of a logarithm
    depends on its position in a batch. Comparing numbers as they were read gives the same bucket every time.
    """
    index = tf.searchsorted(boundaries, tf.transpose(tf.where(missing, 0.0, raw)), side="right", out_type=tf.int64)
    return tf.where(missing, tf.zeros_like(raw, tf.int64), tf.transpose(index) + 1)


def _within(raw: tf.Tensor, buckets: tf.Tensor, boundaries: tf.Tensor) -> tf.Tensor:
    """Compute how far each number [N, K] is into its bucket, [0, 1); 0 in the first, the last and the missing one."""
    first = tf.range(raw.shape[1], dtype=tf.int64) * (BUCKETS - 1)
    lower, upper = (tf.gather(tf.reshape(boundaries, [-1]), first + tf.clip_by_value(buckets - back, 0, BUCKETS - 2)) for back in (2, 1))
    inside = (buckets > 1) & (buckets < BUCKETS)
    return tf.where(inside, tf.math.divide_no_nan(raw - lower, upper - lower), tf.zeros_like(raw))


def _index_of(values: tf.Tensor, known: tuple[str, ...]) -> tf.Tensor:
    """Return 1 + the index among the known values, 0 for any other."""
    return tf.add_n([tf.cast(tf.equal(values, each), tf.int64) * (at + 1) for at, each in enumerate(known)])


def _age_bucket(seconds: tf.Tensor) -> tf.Tensor:
    """Return floor(log2(1 + seconds)), by comparison, for the reason that `_buckets` gives; 0 where missing."""
    begins = tf.constant([2.0**doublings - 1 for doublings in range(1, AGE_BUCKETS)])
    return tf.searchsorted(begins, tf.where(tf.math.is_nan(seconds), 0.0, seconds), side="right", out_type=tf.int64)
