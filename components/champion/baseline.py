"""Export the baseline: one rule without training, with the signatures of a model."""

import tensorflow as tf

from components.champion.baseline_rule import Rule, choose_rule
from components.contract.dataset import Dataset
from components.contract.popularity import popularity_column
from components.schema import signatures
from components.schema.parsing import Features

_BITS_OF_1 = 0x3F800000
_UNIT = 2.0**-23 / 43  # 1 is a count of 9 million million


def export_baseline(dataset: Dataset, path: str) -> Rule:
    """Write the baseline as a SavedModel with a model's signatures (`components.schema.signatures`); returns its rule.

    - shown order: 1 / (2 + position). A request to `serving_default` has no position unless that is a feature; there the candidates' order
      in the request is used, as where a position is unknown (-1).
    - popularity: about log2(1 + x) / 43 of the count or rate x, at most 1 (`_squeezed`); a missing one is 0.
    - constant: 1 / 2.

    A rule has many ties, so equal inputs must have equal scores, bit for bit, wherever they are in a batch. Kernels
    don't guarantee that: a vectorized logarithm or quotient of eight numbers may differ in the last bit from the scalar
    one of the rest of the batch.
    """
    rule = choose_rule(dataset)
    column = popularity_column(dataset)

    def score(features: Features, splits: tf.Tensor) -> tf.Tensor:
        match rule:
            case "shown order":
                positions = _places(splits)
                shown = features["position"].flat_values if "position" in features else positions
                # Of whole numbers up to 2^24, no quotient in double precision is so near the middle of two floats that its error matters.
                return tf.cast(1 / (2 + tf.cast(tf.where(shown < 0, positions, shown), tf.float64)), tf.float32)
            case "popularity":
                popular = features[str(column)].flat_values
                return _squeezed(tf.where(tf.math.is_nan(popular), 0.0, popular))
            case "constant":
                return tf.fill(splits[-1:], 0.5)

    signatures.save(tf.Module(), lambda *inputs: {"scores": score(*inputs)}, path, dataset=dataset)
    return rule


def _squeezed(values: tf.Tensor) -> tf.Tensor:
    """Map numbers from 0 on into [0, 1] in the same order: log2(1 + x) / 43, linear between the powers of 2, at most 1.

    The bits of a positive float32, read as a whole number, are such a logarithm times 2^23; sums, products and
    conversions are rounded alike everywhere. Numbers that differ by one in half a million have different scores.
    """
    bits = tf.bitcast(1 + tf.maximum(values, 0.0), tf.int32) - _BITS_OF_1
    return tf.minimum(tf.cast(bits, tf.float32) * _UNIT, 1.0)


def _places(splits: tf.Tensor) -> tf.Tensor:
    """Number the candidates of each request from 0, flat [N]."""
    lengths = splits[1:] - splits[:-1]
    return tf.range(splits[-1]) - tf.repeat(splits[:-1], lengths)
