"""Check the embedding of numbers by quantile bucket and piecewise linearly."""

from types import SimpleNamespace

import pytest
import tensorflow as tf

from trainer.model.embedding import Table
from trainer.model.network_inputs import BUCKETS
from trainer.model.ranker import Ranker
from trainer.preprocess import _buckets, _within

NAN = float("nan")


@pytest.fixture
def encoded():
    """Values of two numbers whose boundaries are 0, 1, ..., 30 and 0, 10, ..., 300."""
    raw = tf.constant([[4.25, 42.5], [-7.0, NAN], [30.0, 1e9], [29.5, 0.0]])
    boundaries = tf.stack([tf.range(BUCKETS - 1, dtype=tf.float32), 10 * tf.range(BUCKETS - 1, dtype=tf.float32)])
    buckets = _buckets(raw, tf.math.is_nan(raw), boundaries)
    return buckets, _within(raw, buckets, boundaries)


def embedded(encoded, numbers):
    """Embed with one column, the index of the bucket, plus 1,000 for the second number."""
    table = Table("buckets", 2 * (BUCKETS + 1), 1)
    table(tf.constant([0]))
    table.table.assign([[float(row if row <= BUCKETS else row - BUCKETS - 1 + 1000)] for row in range(2 * (BUCKETS + 1))])
    stub = SimpleNamespace(config=SimpleNamespace(numbers=numbers, bucket_dim=1))
    return Ranker._numbers(stub, table, *encoded).numpy().tolist()


def test_a_bucket_begins_at_its_boundary_and_what_is_missing_is_in_none(encoded):
    buckets, within = encoded
    assert buckets.numpy().tolist() == [[6, 6], [1, 0], [32, 32], [31, 2]]
    assert within.numpy().tolist() == [[0.25, 0.25], [0, 0], [0, 0], [0.5, 0]]
    assert embedded(encoded, "buckets") == [[6, 1006], [1, 1000], [32, 1032], [31, 1002]]


def test_piecewise_a_number_moves_in_a_straight_line_from_one_boundary_to_the_next(encoded):
    """4.25 is a quarter of the way from the fifth boundary to the sixth; beyond the first and the last it is constant."""
    assert embedded(encoded, "piecewise") == [[5.25, 1005.25], [1, 1000], [31, 1031], [30.5, 1001]]
