"""Embedding tables."""

import tensorflow as tf
import tf_keras as keras

_INITIAL = 0.25
"""Unless told otherwise, rows begin uniform within +- this. Much smaller ones leave the products of two embeddings, and so what the network
could learn of a pair, near 0 for most of a short training."""


class Table(keras.layers.Layer):
    """A row for each id.

    Unlike Keras' own layer its gradient is one dense tensor: Adam touches every row in each step anyway, and adding up a batch's rows in
    one go costs a fraction of sorting and merging them.
    """

    def __init__(self, name: str, rows: int, dim: int, *, initial: float = _INITIAL, dtype: str | None = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.rows, self.dim, self.initial = rows, dim, initial

    def build(self, _shape: tf.TensorShape) -> None:
        """Make the rows."""
        rows = keras.initializers.RandomUniform(-self.initial, self.initial)
        self.table = self.add_weight("embeddings", [self.rows, self.dim], initializer=rows, experimental_autocast=False)

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        """Ids [...] to [..., dim]."""
        # Rows are cast and not the table: it stays as it is, and the gradients of one row add up in float32.
        return tf.cast(_lookup(tf.convert_to_tensor(self.table), ids), self.compute_dtype)

    def bag(self, words: tf.RaggedTensor) -> tf.Tensor:
        """Sum over each bag of ids / sqrt of their number, 0 for an empty one; [R, (W)] to [R, dim].

        A mean would make a word the fainter the more others stand beside it; so the whole keeps its size.
        """
        total = tf.math.segment_sum(self(words.values), words.value_rowids())
        total = tf.pad(total, [[0, words.nrows() - tf.shape(total, tf.int64)[0]], [0, 0]])  # empty bags at the end have no segment
        return tf.math.divide_no_nan(total, tf.sqrt(tf.cast(words.row_lengths(), total.dtype))[:, None])


@tf.custom_gradient
def _lookup(table: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
        return tf.math.unsorted_segment_sum(upstream, ids, tf.shape(table)[0]), None

    return tf.gather(table, ids), gradient
