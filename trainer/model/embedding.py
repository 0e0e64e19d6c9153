"""Look up embeddings, of single ids and of bags of ids."""

import tensorflow as tf
import tf_keras as keras

_INITIAL = 0.25
"""Rows begin uniform within +- this by default. Much smaller ones keep the products of two embeddings, and so the
gradients of all that depends on pairs, near 0 for most of a short training."""


class Table(keras.layers.Layer):
    """Look up a row for each id.

    Unlike with Keras' own layer the gradient is one dense tensor: Adam updates every row in each step anyway, and
    summing a batch's rows at once costs a fraction of sorting and merging them.
    """

    def __init__(self, name: str, rows: int, dim: int, *, initial: float = _INITIAL, dtype: str | None = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.rows, self.dim, self.initial = rows, dim, initial

    def build(self, _shape: tf.TensorShape) -> None:
        """Create the rows."""
        rows = keras.initializers.RandomUniform(-self.initial, self.initial)
        self.table = self.add_weight("embeddings", [self.rows, self.dim], initializer=rows, experimental_autocast=False)

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        """Look up ids [...]; returns [..., dim]."""
        # Rows are cast and not the table, so that the gradients of a row are summed in float32.
        return tf.cast(_lookup(tf.convert_to_tensor(self.table), ids), self.compute_dtype)

    def bag(self, words: tf.RaggedTensor) -> tf.Tensor:
        """Sum the rows of each bag of ids / sqrt of their number, 0 for an empty one; [R, (W)] to [R, dim].

        The norm of such a sum doesn't depend on the number of words; that of a mean would shrink with it.
        """
        total = tf.math.segment_sum(self(words.values), words.value_rowids())
        total = tf.pad(total, [[0, words.nrows() - tf.shape(total, tf.int64)[0]], [0, 0]])  # empty bags at the end have no segment
        return tf.math.divide_no_nan(total, tf.sqrt(tf.cast(words.row_lengths(), total.dtype))[:, None])


@tf.custom_gradient
def _lookup(table: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
        return tf.math.unsorted_segment_sum(upstream, ids, tf.shape(table)[0]), None

    return tf.gather(table, ids), gradient
