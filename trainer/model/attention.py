"""Target attention: how much each past event matters for this candidate."""

import tensorflow as tf
import tf_keras as keras

from trainer.model.candidate_blocks import Blocks


class ActivationUnit(keras.layers.Layer):
    """Local activation unit of the Deep Interest Network (Zhou et al. 2018, https://arxiv.org/abs/1706.06978, section 4.3, eq. 3).

    Weights are a small network of [h, c, h - c, h * c] and aren't normalised over the history, so that the sum also tells how much of the
    history speaks for the candidate. The first layer is linear in h, c and h - c: those parts are computed once an event and once a
    candidate, and only the product needs all pairs; W1 h + W2 c + W3 (h - c) = (W1 + W3) h + (W2 - W3) c, so nothing is lost. The product
    W4 (h * c) is (W4 diag(c)) h, a product of matrices.

    Args:
        units: hidden units of the activation unit.
        heads: sets of weights; the results are put side by side.
    """

    def __init__(self, units: int, heads: int) -> None:
        super().__init__(name="target_attention")
        self.units, self.heads = units, heads
        self.of_event = keras.layers.Dense(units)
        self.of_candidate = keras.layers.Dense(units, use_bias=False)
        self.weight = keras.layers.Dense(heads)

    def build(self, candidates: tf.TensorShape) -> None:
        """Make the kernel of the product."""
        self.of_product = self.add_weight("of_product", [candidates[-1], self.units])

    def call(self, candidates: tf.Tensor, events: tf.Tensor, lengths: tf.Tensor, blocks: Blocks) -> tf.Tensor:
        """Candidates [N, D] in `blocks`, events [B, H, D] of which the first `lengths` [B] count -> [N, heads * D]."""
        width = candidates.shape[-1]
        event = tf.gather(events, blocks.request)  # (blocks, events, width)
        linear = tf.gather(self.of_event(events), blocks.request)[:, None]  # (blocks, 1, events, units)
        folded = candidates[:, None, :] * tf.transpose(self.of_product)  # (candidates, units, width)
        both = blocks.spread(tf.concat([tf.reshape(folded, [-1, self.units * width]), self.of_candidate(candidates)], axis=-1))
        folded, of_candidate = tf.split(both, [self.units * width, self.units], axis=-1)
        rows, size, n_events = tf.shape(both)[0], both.shape[1], tf.shape(event)[1]
        product = tf.matmul(event, tf.reshape(folded, [rows, size * self.units, width]), transpose_b=True)
        product = tf.transpose(tf.reshape(product, [rows, n_events, size, self.units]), [0, 2, 1, 3])
        hidden = tf.nn.relu(product + linear + of_candidate[:, :, None])  # (blocks, candidates, events, units)
        weights = tf.sigmoid(self.weight(hidden)) * _counting(events, lengths, blocks)[:, None, :, None]
        weights = tf.reshape(tf.transpose(weights, [0, 1, 3, 2]), [rows, size * self.heads, n_events])
        return blocks.gathered(tf.reshape(tf.matmul(weights, event), [rows, size, self.heads * width]))


class DotProduct(keras.layers.Layer):
    """Multi-head scaled dot-product attention of a candidate over the history (Vaswani et al. 2017, section 3.2), values as they are.

    softmax over the events of q k / sqrt(d) with q and k linear in candidate and event, d the width of a head; 0 where there is no event.

    Args:
        width: of a head's queries and keys.
        heads: sets of weights; the results are put side by side.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(name="target_attention")
        self.heads = heads
        self.query = keras.layers.Dense(width * heads, use_bias=False)
        self.key = keras.layers.Dense(width * heads, use_bias=False)

    def call(self, candidates: tf.Tensor, events: tf.Tensor, lengths: tf.Tensor, blocks: Blocks) -> tf.Tensor:
        """Shapes as for `ActivationUnit`."""
        width = candidates.shape[-1]
        counting = _counting(events, lengths, blocks)[:, None, :]
        event = tf.gather(events, blocks.request)
        queries = tf.split(blocks.spread(self.query(candidates)), self.heads, axis=-1)
        keys = tf.split(tf.gather(self.key(events), blocks.request), self.heads, axis=-1)
        found = []
        for query, key in zip(queries, keys, strict=True):
            logits = tf.matmul(query, key, transpose_b=True) / float(query.shape[-1]) ** 0.5  # (blocks, candidates, events)
            weights = tf.nn.softmax(tf.where(counting > 0, tf.cast(logits, tf.float32), -1e9))  # -1e9 is no float16
            weights = tf.cast(weights, counting.dtype) * counting
            found.append(tf.matmul(weights, event))
        return tf.ensure_shape(blocks.gathered(tf.concat(found, axis=-1)), [None, self.heads * width])


class SelfAttention(keras.layers.Layer):
    """A layer of a transformer over the history (Vaswani et al. 2017, section 3.1), as in BST (Chen et al. 2019, arXiv 1905.06874).

    The normalisation stands before each half, so that the events' own encoding runs through unchanged. BST lets the candidate take part
    as one more event; here it doesn't, so that the layer runs once a request, and what a candidate makes of the result is the target
    attention's part.
    """

    def __init__(self, heads: int, dropout: float) -> None:
        super().__init__(name="self_attention")
        self.heads, self.dropout = heads, keras.layers.Dropout(dropout)
        self.norms = [keras.layers.LayerNormalization() for _ in range(2)]

    def build(self, events: tf.TensorShape) -> None:
        """Make the parts that depend on the width."""
        width = events[-1]
        self.attention = keras.layers.MultiHeadAttention(self.heads, max(width // self.heads, 1))
        self.wide, self.narrow = keras.layers.Dense(4 * width, activation="relu"), keras.layers.Dense(width)

    def call(self, events: tf.Tensor, lengths: tf.Tensor, training: bool) -> tf.Tensor:
        """Events [B, H, D] of which the first `lengths` [B] count -> [B, H, D], 0 beyond."""
        counts = tf.sequence_mask(lengths, tf.shape(events)[1])
        normed = self.norms[0](events)
        attended = self.attention(normed, normed, attention_mask=counts[:, None, :], training=training)
        events += self.dropout(attended, training=training)
        events += self.dropout(self.narrow(self.wide(self.norms[1](events))), training=training)
        return events * tf.cast(counts, events.dtype)[..., None]


def _counting(events: tf.Tensor, lengths: tf.Tensor, blocks: Blocks) -> tf.Tensor:
    """1 where an event of a block's history counts, [K, H]."""
    return tf.gather(tf.sequence_mask(lengths, tf.shape(events)[1], dtype=events.dtype), blocks.request)
