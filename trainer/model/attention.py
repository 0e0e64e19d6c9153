"""Attend to the events of a request's history, by a candidate or among the events."""

import tensorflow as tf
import tf_keras as keras

from trainer.model.candidate_blocks import Blocks


class ActivationUnit(keras.layers.Layer):
    """Attend to events by DIN's local activation unit (Zhou et al. 2018, https://arxiv.org/abs/1706.06978, eq. 3).

    Weights are a small network of [h, c, h - c, h * c] for event h and candidate c. They aren't
    normalised over the history, so that the size of the sum grows with the number of related events. The first layer is
    linear in h, c and h - c: those parts are computed once per event and once per candidate, and only the product needs
    all pairs; W1 h + W2 c + W3 (h - c) = (W1 + W3) h + (W2 - W3) c, which is as general. The product W4 (h * c) is (W4
    diag(c)) h, a matrix product.

    Args:
        units: hidden units of the activation unit.
        heads: sets of weights, whose results are concatenated.
    """

    def __init__(self, units: int, heads: int) -> None:
        super().__init__(name="target_attention")
        self.units, self.heads = units, heads
        self.of_event = keras.layers.Dense(units)
        self.of_candidate = keras.layers.Dense(units, use_bias=False)
        self.weight = keras.layers.Dense(heads)

    def build(self, candidates: tf.TensorShape) -> None:
        """Create the kernel of the product."""
        self.of_product = self.add_weight("of_product", [candidates[-1], self.units])

    def call(self, candidates: tf.Tensor, events: tf.Tensor, lengths: tf.Tensor, blocks: Blocks) -> tf.Tensor:
        """Map candidates [N, D] in `blocks` and events [B, H, D] of `lengths` [B] to [N, heads * D]."""
        width = candidates.shape[-1]
        event = tf.gather(events, blocks.request)  # (blocks, events, width)
        linear = tf.gather(self.of_event(events), blocks.request)[:, None]  # (blocks, 1, events, units)
        folded = candidates[:, None, :] * tf.transpose(self.of_product)  # (candidates, units, width)
        both = blocks.scatter(tf.concat([tf.reshape(folded, [-1, self.units * width]), self.of_candidate(candidates)], axis=-1))
        folded, of_candidate = tf.split(both, [self.units * width, self.units], axis=-1)
        rows, size, n_events = tf.shape(both)[0], both.shape[1], tf.shape(event)[1]
        product = tf.matmul(event, tf.reshape(folded, [rows, size * self.units, width]), transpose_b=True)
        product = tf.transpose(tf.reshape(product, [rows, n_events, size, self.units]), [0, 2, 1, 3])
        hidden = tf.nn.relu(product + linear + of_candidate[:, :, None])  # (blocks, candidates, events, units)
        weights = tf.sigmoid(self.weight(hidden)) * _event_mask(events, lengths, blocks)[:, None, :, None]
        weights = tf.reshape(tf.transpose(weights, [0, 1, 3, 2]), [rows, size * self.heads, n_events])
        return blocks.gather(tf.reshape(tf.matmul(weights, event), [rows, size, self.heads * width]))


class DotProduct(keras.layers.Layer):
    """Attend to events by multi-head scaled dot products (Vaswani et al. 2017, section 3.2), values as they are.

    Weights are the softmax over the events of q k / sqrt(d), q and k linear in candidate and event, d the width of a
    head; 0 without events.

    Args:
        width: of a head's queries and keys.
        heads: sets of weights, whose results are concatenated.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(name="target_attention")
        self.heads = heads
        self.query = keras.layers.Dense(width * heads, use_bias=False)
        self.key = keras.layers.Dense(width * heads, use_bias=False)

    def call(self, candidates: tf.Tensor, events: tf.Tensor, lengths: tf.Tensor, blocks: Blocks) -> tf.Tensor:
        """Map candidates and events; shapes as for `ActivationUnit`."""
        width = candidates.shape[-1]
        mask = _event_mask(events, lengths, blocks)[:, None, :]
        event = tf.gather(events, blocks.request)
        queries = tf.split(blocks.scatter(self.query(candidates)), self.heads, axis=-1)
        keys = tf.split(tf.gather(self.key(events), blocks.request), self.heads, axis=-1)
        attended = []
        for query, key in zip(queries, keys, strict=True):
            logits = tf.matmul(query, key, transpose_b=True) / float(query.shape[-1]) ** 0.5  # (blocks, candidates, events)
            weights = tf.nn.softmax(tf.where(mask > 0, tf.cast(logits, tf.float32), -1e9))  # -1e9 is no float16
            weights = tf.cast(weights, mask.dtype) * mask
            attended.append(tf.matmul(weights, event))
        return tf.ensure_shape(blocks.gather(tf.concat(attended, axis=-1)), [None, self.heads * width])


class SelfAttention(keras.layers.Layer):
    """Encode events by a transformer layer (Vaswani et al. 2017, 3.1), as in BST (Chen et al. 2019, arXiv 1905.06874).

    Pre-norm: the residual path carries the events' encoding unchanged. In BST the candidate is one more event; here it
    isn't, so that the layer runs once a request. The candidate then meets the result in target attention.
    """

    def __init__(self, heads: int, dropout: float) -> None:
        super().__init__(name="self_attention")
        self.heads, self.dropout = heads, keras.layers.Dropout(dropout)
        self.norms = [keras.layers.LayerNormalization() for _ in range(2)]

    def build(self, events: tf.TensorShape) -> None:
        """Create the layers that depend on the width."""
        width = events[-1]
        self.attention = keras.layers.MultiHeadAttention(self.heads, max(width // self.heads, 1))
        self.wide, self.narrow = keras.layers.Dense(4 * width, activation="relu"), keras.layers.Dense(width)

    def call(self, events: tf.Tensor, lengths: tf.Tensor, training: bool) -> tf.Tensor:
        """Map events [B, H, D], of which the first `lengths` [B] are real, to [B, H, D], 0 beyond."""
        mask = tf.sequence_mask(lengths, tf.shape(events)[1])
        normed = self.norms[0](events)
        attended = self.attention(normed, normed, attention_mask=mask[:, None, :], training=training)
        events += self.dropout(attended, training=training)
        events += self.dropout(self.narrow(self.wide(self.norms[1](events))), training=training)
        return events * tf.cast(mask, events.dtype)[..., None]


def _event_mask(events: tf.Tensor, lengths: tf.Tensor, blocks: Blocks) -> tf.Tensor:
    """Return 1 for the real events of each block's history and 0 for padding, [K, H]."""
    return tf.gather(tf.sequence_mask(lengths, tf.shape(events)[1], dtype=events.dtype), blocks.request)
