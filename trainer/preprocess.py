"""`preprocessing_fn`: from the columns of the examples to the network's inputs, by the feature table.

Out come, with the name of their column, ids (0: missing), bags of word ids and vectors; and for each axis that has numbers stacked
matrices, `<axis>.values` (scaled, 0 where missing) and `<axis>.buckets` (quantile bucket, 0 where missing), with `<axis>.within`, how far
a number is into its bucket; of the history also `history.action` and `history.age` (a bucket). Everything is computed for each request on
its own.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from components.contract.columns import Axis
from components.contract.features import Category, Id, Multi, Text
from components.contract.load import parse_dataset
from components.schema.parsing import Features
from trainer.model.list_features import rank_in_list, ratio_to_mean
from trainer.model.network_inputs import AGE_BUCKETS, BUCKETS, CATEGORIES, Layout, Measure, Scale, layout, vocabulary_name

MAX_WORDS = 64
"""A text is read up to here: its cost is bounded, whatever the catalogue holds."""

_MAX_Z = 8.0


def preprocessing_fn(inputs: Mapping[str, Any], custom_config: Mapping[str, Any]) -> Features:
    """TFX Transform's entry point; `custom_config["dataset"]` is the text of the dataset file."""
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

    moments: dict[str, tuple[tf.Tensor, tf.Tensor]] = {}
    for axis in ("request", "candidate", "history"):
        outputs |= _numbers(inputs, plan, axis, moments)
    if plan.history:
        outputs["history.action"] = _on_values(inputs[f"{plan.history}_action"], partial(_index_of, known=plan.actions))
        outputs["history.age"] = _on_values(inputs[f"{plan.history}_age_s"], _age_bucket)
    return outputs


def _on_values(column: Any, function: Callable[[tf.Tensor], Any]) -> Any:
    """The function on the flat values, within the same rows."""
    return _like(column, function(_values(column)))


def _values(column: Any) -> tf.Tensor:
    return column.flat_values if isinstance(column, tf.RaggedTensor) else column


def _like(column: Any, flat: Any) -> Any:
    """New flat values in the rows of a column."""
    return column.with_flat_values(flat) if isinstance(column, tf.RaggedTensor) else flat


def _categories(inputs: Mapping[str, Any], plan: Layout) -> Features:
    """Ids of all categories: 0 where the value is "", the feature's buckets for unseen ones, then the vocabulary.

    One vocabulary of `feature=value` serves them all: an analyzer costs about a second however little there is to count.
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
    found = tf.split(tft.apply_vocabulary(tf.concat(keys, axis=0), vocabulary), [tf.size(each) for each in values], num=len(tokens))
    buckets = plan.category_buckets
    first = max(each.stop for each in buckets.values())
    outputs: Features = {}
    for token, each, index in zip(tokens, values, found, strict=True):
        unseen = buckets[token.feature.name]
        ids = tf.where(index < 0, tft.hash_strings(each, len(unseen)) + unseen.start, index + first)
        outputs[token.column.name] = _like(inputs[token.column.name], tf.where(tf.equal(each, ""), tf.zeros_like(ids), ids))
    return outputs


def _ids(values: tf.Tensor, feature: Id, vocabularies: dict[str, Any]) -> tf.Tensor:
    """Ids [N], int64: 0 where the value is "", then hash buckets; or the vocabulary by frequency and then the buckets for the rest.

    The rest is what is rarer than `min_count` as well, so that the buckets are trained by what they are for.
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
    """Hashed words [N, (W)], from 1."""
    words = _words(values) if isinstance(feature, Text) else _parts(values, feature.separator)
    return words.with_flat_values(tft.hash_strings(words.flat_values, feature.buckets) + 1)


def _words(values: tf.Tensor) -> tf.RaggedTensor:
    """Texts [N] to their words and pairs of neighbouring words [N, (W)], in lower case."""
    plain = tf.strings.regex_replace(tf.strings.lower(values, encoding="utf-8"), r"[^\p{L}\p{N}]+", " ")
    return tf.strings.ngrams(tf.strings.split(plain)[:, :MAX_WORDS], ngram_width=(1, 2))


def _parts(values: tf.Tensor, separator: str) -> tf.RaggedTensor:
    """Joined values [N] to single ones [N, (V)], without empty ones."""
    parts = tf.strings.split(values, separator)
    return tf.ragged.boolean_mask(parts, tf.not_equal(parts, ""))


def _vectors(column: Any, size: int) -> Any:
    """Flat floats to one row a vector, NaN to 0: ragged [B, (L), size] or [B, size]."""
    finite = _on_values(column, lambda values: tf.where(tf.math.is_nan(values), tf.zeros_like(values), values))
    if not isinstance(column, tf.RaggedTensor):
        return tf.reshape(finite, [-1, size])
    return tf.RaggedTensor.from_row_splits(tf.reshape(finite.flat_values, [-1, size]), finite.row_splits // size, validate=False)


def _numbers(inputs: Mapping[str, Any], plan: Layout, axis: Axis, moments: dict[str, tuple[tf.Tensor, tf.Tensor]]) -> Features:
    """`<axis>.values` and `<axis>.buckets`: one analysis for the whole matrix [N, K], since each analyzer costs a pass of its own.

    Means and deviations of each number are left in `moments`: the history's numbers stand on the scale of the candidates'.
    """
    measures = plan.numbers(axis)
    if not measures:
        return {}
    like = inputs[measures[0].column]
    raw = tf.stack([_raw(inputs[measure.column], measure) for measure in measures], axis=-1)  # (values, numbers)
    missing = tf.logical_not(tf.math.is_finite(raw))
    scaled = _scaled(raw, measures)
    outputs = {}
    if axis == "history":
        of = [moments[measure.name.removeprefix(f"{plan.history}_")] for measure in measures]
        mean, deviation = (tf.stack(each) for each in zip(*of, strict=True))
    else:
        learned = _never_empty(raw, missing)
        mean, variance = (analyzer(_scaled(learned, measures), reduce_instance_dims=False) for analyzer in (tft.mean, tft.var))
        deviation = tf.sqrt(variance)
        moments |= {measure.name: (mean[at], deviation[at]) for at, measure in enumerate(measures)}
        boundaries = tf.ensure_shape(
            tft.quantiles(learned, BUCKETS, epsilon=0.01, reduce_instance_dims=False), [len(measures), BUCKETS - 1]
        )
        outputs["buckets"] = _buckets(raw, missing, boundaries)
        outputs["within"] = _within(raw, outputs["buckets"], boundaries)
    centred = tf.clip_by_value(tf.math.divide_no_nan(scaled - mean, deviation), -_MAX_Z, _MAX_Z)
    outputs["values"] = tf.where(missing, tf.zeros_like(raw), centred)
    return {f"{axis}.{name}": _like(like, flat) for name, flat in outputs.items()}


def _raw(column: Any, measure: Measure) -> tf.Tensor:
    """The numbers as they are, flat [N]; NaN where missing."""
    if measure.scale == "rank":
        return rank_in_list(column).flat_values
    if measure.scale == "ratio":
        return ratio_to_mean(column).flat_values
    values = _values(column)
    if values.dtype == tf.int64:  # a position, -1 where unknown
        return tf.where(values < 0, tf.constant(float("nan")), tf.cast(values, tf.float32))
    return values


def _never_empty(raw: tf.Tensor, missing: tf.Tensor) -> tf.Tensor:
    """The numbers for the analyzers, missing ones as NaN, which they pass over; [N, K] to [N + 1, K].

    Of a column without any value TFT's quantiles fail and its means are NaN: a batch that has none of a column lends it one number.
    """
    lent = tf.where(tf.reduce_all(missing, axis=0, keepdims=True), 0.5, float("nan"))  # finite on every scale
    return tf.concat([tf.where(missing, float("nan"), raw), lent], axis=0)


def _scaled(raw: tf.Tensor, measures: Sequence[Measure]) -> tf.Tensor:
    """The numbers [N, K] on scales where differences count alike."""
    return tf.stack([_rescaled(column, measure.scale) for column, measure in zip(tf.unstack(raw, axis=-1), measures, strict=True)], axis=-1)


def _rescaled(raw: tf.Tensor, scale: Scale) -> tf.Tensor:
    """By orders of magnitude for prices, counts and ratios, by odds for rates."""
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
    """Quantile bucket of each number [N, K], 1 to `BUCKETS`; 0 where missing. `boundaries` is [K, BUCKETS - 1].

    Of the raw numbers: boundaries are values that occur, often a value that many share, and the last bit of a logarithm depends on where in
    a batch it is computed. Comparing what was read with what was read can't waver.
    """
    found = tf.searchsorted(boundaries, tf.transpose(tf.where(missing, 0.0, raw)), side="right", out_type=tf.int64)
    return tf.where(missing, tf.zeros_like(raw, tf.int64), tf.transpose(found) + 1)


def _within(raw: tf.Tensor, buckets: tf.Tensor, boundaries: tf.Tensor) -> tf.Tensor:
    """How far each number [N, K] is from its bucket's lower boundary to the upper one, [0, 1); 0 where one of them is missing."""
    first = tf.range(raw.shape[1], dtype=tf.int64) * (BUCKETS - 1)
    lower, upper = (tf.gather(tf.reshape(boundaries, [-1]), first + tf.clip_by_value(buckets - back, 0, BUCKETS - 2)) for back in (2, 1))
    inside = (buckets > 1) & (buckets < BUCKETS)
    return tf.where(inside, tf.math.divide_no_nan(raw - lower, upper - lower), tf.zeros_like(raw))


def _index_of(values: tf.Tensor, known: tuple[str, ...]) -> tf.Tensor:
    """1 + the place among the known ones, 0 for any other."""
    return tf.add_n([tf.cast(tf.equal(values, each), tf.int64) * (at + 1) for at, each in enumerate(known)])


def _age_bucket(seconds: tf.Tensor) -> tf.Tensor:
    """floor(log2(1 + seconds)), by comparison and not by a logarithm, for the reason that `_buckets` gives; 0 where missing."""
    begins = tf.constant([2.0**doublings - 1 for doublings in range(1, AGE_BUCKETS)])
    return tf.searchsorted(begins, tf.where(tf.math.is_nan(seconds), 0.0, seconds), side="right", out_type=tf.int64)
